/** A CNI network configuration as its schema, schemas/cni-config.schema.json, lets it pass. */
import { ConfigError } from "./config-error.ts";
import { validateCniConfig } from "./generated/cni-config.ts";
import type { Addressing, Carrier, LogLevel, Service } from "./options.ts";

/** What the container's resolv.conf should hold, as CNI has it. */
export interface DnsConfig {
  nameservers?: string[];
  domain?: string;
  search?: string[];
  options?: string[];
}

/** The lists of a DnsConfig. */
export const DNS_LISTS = ["nameservers", "search", "options"] as const;

/** A configuration that its schema accepts. Keys of others are there too. */
export interface CniConfig {
  name: string;
  dns?: DnsConfig | null;
  ipam?: { type?: string } | null;
  prevResult?: unknown;
  args?: unknown;
  runtimeConfig?: Record<string, unknown> | null;
  ipv4?: boolean;
  ipv6?: boolean;
  follow?: boolean;
  addressing?: Addressing;
  carrier?: Carrier;
  addresses?: string[];
  gateways?: string[];
  mtu?: number;
  mac?: string;
  ourMac?: string;
  interface?: string;
  mapGateway?: boolean;
  mapHostLoopback?: string[] | "none";
  mapGuestAddr?: string[] | "none";
  dnsForward?: string[] | "none";
  dnsHost?: string[];
  outbound?: string[];
  outboundInterface?: string;
  outboundInterface4?: string;
  outboundInterface6?: string;
  routerAdvertisements?: boolean;
  dhcp?: boolean;
  tcpPorts?: string[];
  udpPorts?: string[];
  tcpNs?: string[];
  udpNs?: string[];
  splice?: boolean;
  hostLoopbackToContainer?: boolean;
  freebind?: boolean;
  without?: Service[];
  ingressRate?: number;
  ingressBurst?: number;
  egressRate?: number;
  egressBurst?: number;
  offload?: boolean;
  flows?: number;
  logLevel?: LogLevel;
  logFile?: string;
  logLimit?: number;
  captureFile?: string;
  runAs?: { uid: number; gid: number };
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
  if (isCniConfig(config)) return config;
  // The last error is about the whole value where a value may have several forms.
  const { instancePath, keyword, message, params } = validate.errors!.at(-1)!;
  if (keyword === "oneOf") throw new ConfigError(instancePath, 'must be "none" or a list of addresses');
  const values = params.allowedValues === undefined ? "" : `: ${params.allowedValues.join(", ")}`;
  throw new ConfigError(instancePath === "" ? "/" : instancePath, `${message}${values}`);
}

/** Runtimes and people write nothing in many ways. */
export const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  (typeof value === "object" && Object.keys(value).length === 0);

/** The IPAM plugin that is to give the addresses; undefined for none. */
export const ipamType = ({ ipam }: CniConfig): string | undefined => ipam?.type;
