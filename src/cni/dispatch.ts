/**
 * One call of the plugin, from environment and stdin to what is printed. Knows the protocol and no verb but
 * VERSION; touches nothing of the system.
 */
import { CniCode, CniError, errorDocument, isExpected } from "./errors.ts";
import {
  type Attachment,
  type Environment,
  invalidEnvironment,
  readAttachment,
  type VariableName,
} from "./environment.ts";
import {
  type CniVersion,
  DEFAULT_VERSION,
  isAtLeast,
  isSupported,
  NEWEST_VERSION,
  SUPPORTED_VERSIONS,
} from "./versions.ts";

/** A network configuration as it came: an object of any content. */
type NetworkConfiguration = Readonly<Record<string, unknown>>;

/** What a verb is asked. */
export interface CniRequest extends Attachment {
  version: CniVersion;
  config: NetworkConfiguration;
  /** All of stdin: the same configuration as it came, for plugins that this one starts. */
  input: string;
  environment: Environment;
}

/** What the specification says of a verb. */
interface VerbRules {
  /** The version that it came with. */
  readonly since: CniVersion;
  readonly required: readonly VariableName[];
}

const ATTACHMENT = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"] as const;
/** By CNI_COMMAND. VERSION is answered here, whatever else is there. */
const RULES = {
  ADD: { since: "0.1.0", required: ATTACHMENT },
  DEL: { since: "0.1.0", required: ["CNI_CONTAINERID", "CNI_IFNAME"] },
  CHECK: { since: "0.4.0", required: ATTACHMENT },
  GC: { since: "1.1.0", required: ["CNI_PATH"] },
  STATUS: { since: "1.1.0", required: ["CNI_PATH"] },
} as const satisfies Readonly<Record<string, VerbRules>>;
type Verb = keyof typeof RULES;

const isVerb = (command: string): command is Verb => Object.hasOwn(RULES, command);

/**
 * What is done for each verb: gives the result to print, or undefined for none. What it throws becomes the error that is
 * printed.
 */
export type CniVerbs = Readonly<Record<Verb, (request: CniRequest) => Promise<unknown>>>;

/** How the process ends. */
export interface Outcome {
  status: 0 | 1;
  /** One JSON object, or nothing. */
  stdout: string;
  /** For humans. */
  stderr: string;
}

/** Never throws. @param readInput gives everything on stdin; called at most once */
export async function dispatch(
  environment: Environment,
  readInput: () => Promise<string>,
  verbs: CniVerbs,
): Promise<Outcome> {
  const command = environment["CNI_COMMAND"] ?? "";
  if (command === "") return { status: 0, stdout: "", stderr: about(Object.keys(RULES)) };
  let version: CniVersion = NEWEST_VERSION;
  try {
    if (command === "VERSION") return success(versions(await readAll(readInput)));
    if (!isVerb(command)) throw invalidEnvironment(`unknown CNI_COMMAND ${command}`);
    const { since, required } = RULES[command];
    const attachment = readAttachment(environment, required);
    const input = await readAll(readInput);
    const config = parseConfiguration(input);
    version = negotiate(config);
    checkVersion(command, since, version);
    return success(await verbs[command]({ ...attachment, version, config, input, environment }));
  } catch (error) {
    const stack = error instanceof Error && !isExpected(error) ? (error.stack ?? "") : "";
    return { status: 1, stdout: JSON.stringify(errorDocument(error, version)), stderr: stack };
  }
}

async function readAll(read: () => Promise<string>): Promise<string> {
  try {
    return await read();
  } catch (cause) {
    throw new CniError(
      CniCode.InputOutput,
      "cannot read the network configuration from stdin",
      String(cause),
    );
  }
}

const success = (result: unknown): Outcome => ({
  status: 0,
  stdout: result === undefined ? "" : JSON.stringify(result),
  stderr: "",
});

/** For somebody who starts the plugin by hand; runtimes always set CNI_COMMAND. */
const about = (names: readonly string[]): string =>
  `this is a CNI plugin, to be started by a container runtime with CNI_COMMAND set to ${names.join(", ")} ` +
  `or VERSION; it speaks ${SUPPORTED_VERSIONS.join(", ")}`;

/** The answer to VERSION, whatever version it is asked in. */
function versions(text: string): unknown {
  const asked = text.trim() === "" ? undefined : parseConfiguration(text)["cniVersion"];
  return {
    cniVersion: typeof asked === "string" ? asked : NEWEST_VERSION,
    supportedVersions: SUPPORTED_VERSIONS,
  };
}

function parseConfiguration(text: string): NetworkConfiguration {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CniError(CniCode.Decoding, "cannot decode the network configuration on stdin", why);
  }
  if (isConfiguration(value)) return value;
  throw new CniError(CniCode.Decoding, "the network configuration on stdin is no JSON object");
}

const isConfiguration = (value: unknown): value is NetworkConfiguration =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function negotiate({ cniVersion }: NetworkConfiguration): CniVersion {
  // libcni fills in an empty one where the list of plugins names none.
  if (cniVersion === undefined || cniVersion === null || cniVersion === "") return DEFAULT_VERSION;
  if (isSupported(cniVersion)) return cniVersion;
  const asked = typeof cniVersion === "string" ? JSON.stringify(cniVersion) : "no text";
  throw new CniError(
    CniCode.IncompatibleVersion,
    "incompatible CNI versions",
    `config is ${asked}, plugin supports ${JSON.stringify(SUPPORTED_VERSIONS)}`,
  );
}

function checkVersion(command: string, since: CniVersion, version: CniVersion): void {
  if (isAtLeast(version, since)) return;
  throw new CniError(
    CniCode.IncompatibleVersion,
    "incompatible CNI versions",
    `${command} is there since ${since}, and config is ${JSON.stringify(version)}`,
  );
}
