/** What a CNI network configuration means. Its keys are those of schemas/cni-config.schema.json. */
import { validateCniConfig } from "./generated/cni-config.ts";
import { PortMappingError, rulesFromMappings } from "./cni-ports.ts";
import {
  DEFAULT_NETWORK,
  DEFAULT_PORTS,
  MTU_MIN,
  type LogLevel,
  type NetworkOptions,
  type PortRuleOptions,
} from "./options.ts";
import {
  aliasAddress,
  hostAddress,
  hostPrefix,
  interfaceMac,
  interfaceName,
  isOfDisabledFamily,
  lastOfEachFamily,
  ValueError,
} from "./values.ts";

/** A value of a configuration that cannot be used; the message begins with its JSON pointer (RFC 6901). */
export class ConfigError extends Error {
  /** The value may be right, but we do not have what it asks for. */
  readonly isUnsupported: boolean;
  constructor(pointer: string, why: string, isUnsupported = false) {
    super(`${pointer} ${why}`);
    this.name = "ConfigError";
    this.isUnsupported = isUnsupported;
  }
}

/** What the container's resolv.conf should hold, as CNI has it. */
export interface DnsConfig {
  nameservers?: string[];
  domain?: string;
  search?: string[];
  options?: string[];
}

/** A configuration that its schema accepts. */
export interface CniConfig {
  dns?: DnsConfig;
  ipam?: Record<string, unknown>;
  prevResult?: unknown;
  runtimeConfig?: Record<string, unknown> | null;
  ipv4?: boolean;
  ipv6?: boolean;
  addresses?: string[];
  gateways?: string[];
  mtu?: number;
  mac?: string;
  interface?: string;
  mapGateway?: boolean;
  mapHostLoopback?: string[] | "none";
  mapGuestAddr?: string[] | "none";
  dnsForward?: string[] | "none";
  dnsHost?: string[];
  outbound?: string[];
  outboundInterface?: string;
  routerAdvertisements?: boolean;
  offload?: boolean;
  flows?: number;
  logLevel?: LogLevel;
  logFile?: string;
}

/** As much of an error of the validator as we use. */
interface SchemaError {
  instancePath: string;
  keyword: string;
  message?: string;
  params: { allowedValues?: readonly unknown[] };
}

/** The generated validator leaves the errors of its last call behind. */
const validate: { (config: unknown): boolean; errors?: readonly SchemaError[] | null } = validateCniConfig;
const isCniConfig = (config: unknown): config is CniConfig => validate(config);

/** Gives the configuration itself once it is checked against the schema. Throws ConfigError. */
export function checkCniConfig(config: unknown): CniConfig {
  if (!isCniConfig(config)) throw schemaError();
  refuseUnsupported(config);
  return config;
}

function schemaError(): ConfigError {
  // The last error is about the whole value where a value may have several forms.
  const { instancePath, keyword, message, params } = validate.errors!.at(-1)!;
  if (keyword === "oneOf") return new ConfigError(instancePath, 'must be "none" or a list of addresses');
  const values = params.allowedValues === undefined ? "" : `: ${params.allowedValues.join(", ")}`;
  return new ConfigError(instancePath === "" ? "/" : instancePath, `${message}${values}`);
}

/** Runtime configuration that would change the connection; written in any case by different runtimes. */
const UNSUPPORTED_CAPABILITIES = ["ips", "mac"];

/** What changes the connection must not be passed over silently. */
function refuseUnsupported({ ipam, prevResult, runtimeConfig }: CniConfig): void {
  if (!isEmpty(ipam)) throw unsupported("/ipam", ipam, "addresses come from the host or from /addresses");
  if (!isEmpty(prevResult)) throw unsupported("/prevResult", prevResult, "this must be the first plugin");
  for (const [key, value] of Object.entries(runtimeConfig ?? {})) {
    if (!UNSUPPORTED_CAPABILITIES.includes(key.toLowerCase()) || isEmpty(value)) continue;
    throw unsupported(`/runtimeConfig/${key}`, value, "do not declare that capability");
  }
}

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  (typeof value === "object" && Object.keys(value).length === 0);

const unsupported = (pointer: string, value: unknown, why: string): ConfigError =>
  new ConfigError(pointer, `is not supported: ${JSON.stringify(value)}; ${why}`, true);

/** How the container is to be connected. @param ifname name of the interface inside. Throws ConfigError. */
export function networkFromCni(config: CniConfig, ifname: string): NetworkOptions {
  const { ipv4 = true, ipv6 = true, offload = true, flows = DEFAULT_NETWORK.flows } = config;
  if (!ipv4 && !ipv6) throw new ConfigError("/ipv6", "must not be false together with /ipv4");
  const { mtu } = config;
  if (mtu !== undefined && mtu !== 0 && mtu < MTU_MIN) {
    throw new ConfigError("/mtu", `must be 0 or >= ${MTU_MIN}`);
  }
  const mapHostLoopback = mapping("/mapHostLoopback", config.mapHostLoopback);
  const options: NetworkOptions = {
    ...DEFAULT_NETWORK,
    ipv4,
    ipv6,
    interfaceName: ifname,
    addresses: list("/addresses", config.addresses, hostPrefix),
    gateways: lastOfEachFamily(list("/gateways", config.gateways, hostAddress)),
    // What an orchestrator starts does not see what listens on the host's loopback unless somebody says so.
    mapGateway: (config.mapGateway ?? false) && mapHostLoopback !== "none",
    mapHostLoopback: mapHostLoopback ?? [],
    mapGuest: mapping("/mapGuestAddr", config.mapGuestAddr) ?? [],
    dnsHosts: list("/dnsHost", config.dnsHost, hostAddress),
    outbound: lastOfEachFamily(list("/outbound", config.outbound, hostAddress)),
    routerAdvertisements: config.routerAdvertisements ?? DEFAULT_NETWORK.routerAdvertisements,
    ports: { ...DEFAULT_PORTS, rules: publishedPorts(config) },
    offload,
    flows,
    logLevel: config.logLevel ?? DEFAULT_NETWORK.logLevel,
  };
  const dnsForward = mapping("/dnsForward", config.dnsForward);
  if (dnsForward !== undefined) options.dnsForward = dnsForward;
  if (mtu !== undefined) options.mtu = mtu;
  if (config.mac !== undefined) options.mac = read("/mac", config.mac, interfaceMac);
  if (config.interface !== undefined) options.template = read("/interface", config.interface, interfaceName);
  if (config.outboundInterface !== undefined) {
    options.outboundInterface = read("/outboundInterface", config.outboundInterface, interfaceName);
  }
  checkFamilies(options);
  return options;
}

/** The ports that the runtime publishes. */
function publishedPorts({ runtimeConfig }: CniConfig): PortRuleOptions[] {
  const entries = Object.entries(runtimeConfig ?? {}).filter(([key]) => key.toLowerCase() === "portmappings");
  return entries.flatMap(([key, mappings]) => {
    try {
      return isEmpty(mappings) ? [] : rulesFromMappings(mappings);
    } catch (cause) {
      if (!(cause instanceof PortMappingError)) throw cause;
      throw new ConfigError(`/runtimeConfig/${key}${cause.pointer}`, cause.message);
    }
  });
}

/** Reads a value; the error names its place. */
function read<Value>(pointer: string, text: string, parse: (text: string) => Value): Value {
  try {
    return parse(text);
  } catch (cause) {
    if (cause instanceof ValueError) throw new ConfigError(pointer, `is ${text}: ${cause.message}`);
    throw cause;
  }
}

const list = <Value>(
  pointer: string,
  texts: readonly string[] | undefined,
  parse: (text: string) => Value,
): Value[] => (texts ?? []).map((text, index) => read(`${pointer}/${index}`, text, parse));

const mapping = (
  pointer: string,
  value: readonly string[] | "none" | undefined,
): string[] | "none" | undefined =>
  value === undefined || value === "none" ? value : lastOfEachFamily(list(pointer, value, aliasAddress));

/** What belongs to a family that is switched off is a contradiction, not something to drop silently. */
function checkFamilies(options: NetworkOptions): void {
  if (options.routerAdvertisements && !options.ipv6) {
    throw new ConfigError("/routerAdvertisements", "must not be true when /ipv6 is false");
  }
  for (const key of ["addresses", "gateways", "outbound"] as const) {
    const wrong = options[key].find((text) => isOfDisabledFamily(text, options));
    if (wrong === undefined) continue;
    throw new ConfigError(`/${key}`, `has ${wrong}, but ${options.ipv4 ? "/ipv6" : "/ipv4"} is false`);
  }
}
