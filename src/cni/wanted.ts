/** What an ADD is asked for, read completely before anything is done. */
import { checkCniConfig, ipamType, type DnsConfig } from "../config/cni-config.ts";
import { askedDns } from "../config/cni-runtime.ts";
import { networkFromCni, processFromCni } from "../config/from-cni.ts";
import type { NetworkOptions, ProcessOptions } from "../config/options.ts";
import type { PortRange } from "../config/port-spec.ts";
import { readArguments } from "./args.ts";
import type { CniRequest } from "./dispatch.ts";
import { previousResult } from "./previous-result.ts";
import type { CniResult } from "./result.ts";

export interface Wanted {
  /** Name of the network. */
  name: string;
  network: NetworkOptions;
  process: ProcessOptions;
  /** What the runtime or the configuration says of resolvers. */
  dns: DnsConfig;
  /** The IPAM plugin, if there is one. */
  ipam: string | undefined;
  /** The result of the plugins before us. */
  previous: CniResult | undefined;
}

/**
 * Throws ConfigError or CniError.
 * @param ephemeral ports that the kernel gives to outgoing connections
 */
export function readWanted(request: CniRequest, ephemeral: PortRange): Wanted {
  const config = checkCniConfig(request.config);
  const ipam = ipamType(config);
  const args = readArguments(request.environment, ipam !== undefined);
  return {
    name: config.name,
    network: networkFromCni(config, { ifname: request.ifname, args, ephemeral }),
    process: processFromCni(config),
    dns: askedDns(config),
    ipam,
    previous: previousResult(config, request.version),
  };
}
