/** Versions of the specification. */

/** Those that the plugin speaks, oldest first. */
export const SUPPORTED_VERSIONS = ["1.0.0", "1.1.0"] as const;
export type CniVersion = (typeof SUPPORTED_VERSIONS)[number];

export const NEWEST_VERSION: CniVersion = "1.1.0";
/** What a configuration means that names none. */
export const DEFAULT_VERSION = "0.1.0";

export const isSupported = (version: string): version is CniVersion =>
  SUPPORTED_VERSIONS.some((each) => each === version);
