/** What a container runtime tells a hook. @see OCI runtime specification, sections "State" and "POSIX-platform Hooks" */
import { AppError } from "../base/errors.ts";
import { parseDocument } from "../config/document.ts";
import { validateOciState } from "../config/generated/oci-state.ts";

/** The content of stdin; schemas/oci-state.schema.json. */
export interface OciState {
  /** Names the container among those of its runtime. */
  id: string;
  /** "creating", "created", "running", "stopped", or a word of the runtime's own. */
  status: string;
  /** In the PID namespace of the hook; 0 or absent when there is no process. */
  pid?: number;
  /** Absolute path of the directory that holds config.json. */
  bundle?: string;
  annotations?: Readonly<Record<string, string>> | null;
}

/** Throws USAGE. */
export const parseOciState = (text: string): OciState =>
  parseDocument(
    text,
    validateOciState,
    (why, options) =>
      new AppError(
        "USAGE",
        `cannot understand the container's state on stdin: ${why}; ` +
          "this program is a hook, to be started by an OCI runtime",
        options,
      ),
  );
