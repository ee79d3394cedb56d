/** The environment variables of a call. */
import { CniCode, CniError } from "./errors.ts";

/** Environment as a process has it; empty counts as missing, as runtimes always set all of them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Attachment that a call is about: one interface in one container. */
export interface Attachment {
  containerId: string;
  /** Name of the interface inside. */
  ifname: string;
  /** Path of the network namespace; empty when the runtime does not know it any more. */
  netns: string;
}

/** Variables that a verb may need, and what is wrong with a value. */
const VARIABLES = {
  CNI_CONTAINERID: (text: string) =>
    /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(text)
      ? undefined
      : "must begin with a letter or digit and go on with letters, digits, dots, dashes and underscores",
  CNI_NETNS: () => undefined,
  CNI_IFNAME: wrongInterfaceName,
  CNI_PATH: () => undefined,
} as const;
export type VariableName = keyof typeof VARIABLES;

/** IFNAMSIZ less the terminating zero, @see linux/if.h */
const INTERFACE_NAME_MAX = 15;

function wrongInterfaceName(text: string): string | undefined {
  if (new TextEncoder().encode(text).length > INTERFACE_NAME_MAX) {
    return `must have at most ${INTERFACE_NAME_MAX} bytes`;
  }
  if (text === "." || text === "..") return "must not be a directory";
  // The kernel would replace "%d" by a number.
  return /[/:%\s]/.test(text) ? 'must not have "/", ":", "%" or white space' : undefined;
}

/** Throws CniError that names every variable that is missing. */
export function requireVariables(environment: Environment, required: readonly VariableName[]): void {
  const missing = required.filter((name) => (environment[name] ?? "") === "");
  if (missing.length === 0) return;
  throw invalidEnvironment(`missing environment variables: ${missing.join(", ")}`);
}

/** Reads what a verb needs. Throws CniError that names every variable that is missing or wrong. */
export function readAttachment(environment: Environment, required: readonly VariableName[]): Attachment {
  requireVariables(environment, required);
  const wrong = required.flatMap((name) => {
    const why = VARIABLES[name](environment[name] ?? "");
    return why === undefined ? [] : [`${name}=${environment[name]} ${why}`];
  });
  if (wrong.length > 0) throw invalidEnvironment("invalid environment variables", wrong.join("; "));
  return {
    containerId: environment["CNI_CONTAINERID"] ?? "",
    ifname: environment["CNI_IFNAME"] ?? "",
    netns: environment["CNI_NETNS"] ?? "",
  };
}

export const invalidEnvironment = (message: string, details?: string): CniError =>
  new CniError(CniCode.InvalidEnvironment, message, details);
