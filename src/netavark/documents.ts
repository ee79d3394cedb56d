/** What Podman and netavark give a plugin on stdin. @see plugin-API.md of netavark */
import { AppError } from "../base/errors.ts";
import { checkDocument, parseDocument } from "../config/document.ts";
import { validateNetavarkAttachment } from "../config/generated/netavark-attachment.ts";
import { validateNetavarkNetwork } from "../config/generated/netavark-network.ts";

type Options = Readonly<Record<string, string>>;

/** A network; schemas/netavark-network.schema.json. */
export interface Network {
  name: string;
  /** Belongs to one network only, unlike the name. */
  id: string;
  internal?: boolean;
  dns_enabled?: boolean;
  /** An interface of the host. */
  network_interface?: string | null;
  /** Resolvers outside, for this network. */
  network_dns_servers?: readonly string[] | null;
  options?: Options | null;
  routes?: readonly unknown[] | null;
  /** Absent: no addresses are managed. */
  subnets?: readonly { subnet: string; gateway?: string | null }[] | null;
}

export interface PortMapping {
  container_port: number;
  host_port: number;
  /** Empty for every address. */
  host_ip?: string | null;
  /** Several have commas between them. */
  protocol?: string | null;
  /** How many ports, the following ones included; none counts as one. */
  range?: number | null;
}

/** A container's connection to a network; schemas/netavark-attachment.schema.json. */
export interface NetworkAttachment {
  container_id: string;
  /** See networkOf. */
  network?: unknown;
  network_options: {
    /** Inside. */
    interface_name: string;
    /** One for each subnet. */
    static_ips?: readonly string[] | null;
    static_mac?: string | null;
    options?: Options | null;
  };
  port_mappings?: readonly PortMapping[] | null;
}

const refusal =
  (what: string) =>
  (why: string, options?: { cause: unknown }): AppError =>
    new AppError(
      "USAGE",
      `cannot understand ${what} on stdin: ${why}; this program is a plugin, to be started by netavark or Podman`,
      options,
    );

const refuseNetwork = refusal("the network");

/** Throws USAGE. */
export const parseNetwork = (text: string): Network =>
  parseDocument(text, validateNetavarkNetwork, refuseNetwork);

/** The network of a container's connection. Throws USAGE. */
export const networkOf = ({ network = null }: NetworkAttachment): Network =>
  checkDocument(network, validateNetavarkNetwork, refuseNetwork);

/** Throws USAGE. */
export const parseAttachment = (text: string): NetworkAttachment =>
  parseDocument(text, validateNetavarkAttachment, refusal("the container's network"));
