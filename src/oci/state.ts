/** What a container runtime tells a hook. @see OCI runtime specification, sections "State" and "POSIX-platform Hooks" */
import { AppError } from "../base/errors.ts";
import { validateOciState } from "../config/generated/oci-state.ts";

/** The content of stdin; schemas/oci-state.schema.json. */
export interface OciState {
  /** Names the container among those of its runtime. */
  id: string;
  /** "creating", "created", "running", "stopped", or a word of the runtime's own. */
  status: string;
  /** In the PID namespace of the hook; 0 or absent when there is no process. */
  pid?: number;
  annotations?: Readonly<Record<string, string>> | null;
}

/** The generated validator leaves the errors of its last call behind. */
const validate: {
  (state: unknown): boolean;
  errors?: readonly { instancePath: string; message?: string }[] | null;
} = validateOciState;
const isOciState = (value: unknown): value is OciState => validate(value);

/** Throws USAGE. */
export function parseOciState(text: string): OciState {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw misunderstood("it is no JSON", { cause });
  }
  if (isOciState(value)) return value;
  const { instancePath, message } = validate.errors!.at(-1)!;
  throw misunderstood(`${instancePath === "" ? "/" : instancePath} ${message}`);
}

const misunderstood = (why: string, options?: { cause: unknown }): AppError =>
  new AppError(
    "USAGE",
    `cannot understand the container's state on stdin: ${why}; this program is a hook, to be started by an OCI runtime`,
    options,
  );
