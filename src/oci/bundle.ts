/** What a container's configuration says of its root file system and network. @see OCI runtime specification, "config" */
import { AppError } from "../base/errors.ts";
import { parseDocument } from "../config/document.ts";
import { validateOciBundle } from "../config/generated/oci-bundle.ts";

/** The content of config.json; schemas/oci-bundle.schema.json. */
interface OciBundle {
  /** The path is relative to the bundle. */
  root: { path: string };
  mounts?: readonly { destination: string }[] | null;
  linux?: { namespaces?: readonly { type: string; path?: string }[] | null };
}

/** @param text that of config.json. Throws USAGE. */
export const parseBundle = (text: string): OciBundle =>
  parseDocument(
    text,
    validateOciBundle,
    (why, options) => new AppError("USAGE", `cannot understand the bundle's config.json: ${why}`, options),
  );

/** The network namespace that the container joins; undefined when it gets one of its own. */
export const joinedNetns = ({ linux }: OciBundle): string | undefined =>
  linux?.namespaces?.find(({ type }) => type === "network")?.path;

/** Where something is mounted that hides the root file system's /etc/resolv.conf; undefined when nothing is. */
export const mountOverResolvConf = ({ mounts }: OciBundle): string | undefined =>
  mounts
    ?.map(({ destination }) => destination)
    .find((destination) => /^\/etc(\/resolv\.conf)?\/*$/.test(destination));
