/** Versions of the specification. */

/** Those that the plugin speaks, oldest first. */
export const SUPPORTED_VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export type CniVersion = (typeof SUPPORTED_VERSIONS)[number];

export const NEWEST_VERSION: CniVersion = "1.1.0";
/** What a configuration means that names none. */
export const DEFAULT_VERSION: CniVersion = "0.1.0";

export const isSupported = (version: unknown): version is CniVersion =>
  SUPPORTED_VERSIONS.some((each) => each === version);

/** Tells whether a version has what came with another one. */
export const isAtLeast = (version: CniVersion, since: CniVersion): boolean =>
  SUPPORTED_VERSIONS.indexOf(version) >= SUPPORTED_VERSIONS.indexOf(since);
