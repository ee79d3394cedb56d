/** Rules of port forwarding as the engine uses them, from those that people and callers write. */
import { parseIp } from "../../base/address.ts";
import { AppError } from "../../base/errors.ts";
import { PORT_RULES_MAX, type PortRuleOptions } from "../../config/options.ts";
import { Pif } from "../../flow/state.ts";
import type { Address } from "../../forward/address-rules.ts";
import type { PortRule } from "../../forward/port-rule.ts";
import { checkRules, type Families } from "../../forward/port-rules.ts";
import { IpProtocol } from "../../wire/ipv4.ts";

/** Longest name of an interface (IFNAMSIZ of linux/if.h, less its terminator). */
const INTERFACE_NAME_MAX = 15;
/** The container's other interfaces, such as that of a VPN, must not lead to the host. */
const CONTAINER_INTERFACE = "lo";

/** Checks all rules of a container and translates them, in the same order. Throws AppError (USAGE). */
export function toPortRules(rules: readonly PortRuleOptions[], families: Families): PortRule[] {
  if (rules.length > PORT_RULES_MAX) {
    throw new AppError("USAGE", `${rules.length} port rules are more than ${PORT_RULES_MAX}; use ranges`);
  }
  return checkRules(rules.map(toPortRule), families);
}

function toPortRule(options: PortRuleOptions): PortRule {
  const isHost = options.side === "host";
  const device = options.interface ?? (isHost ? undefined : CONTAINER_INTERFACE);
  if (device !== undefined && (device === "" || Buffer.byteLength(device) > INTERFACE_NAME_MAX)) {
    throw new AppError("USAGE", `"${device}" is no name of an interface`);
  }
  return {
    pif: isHost ? Pif.Host : Pif.Splice,
    protocol: options.protocol === "tcp" ? IpProtocol.Tcp : IpProtocol.Udp,
    listen: address(options.address),
    device,
    first: options.first,
    last: options.last,
    target: address(options.targetAddress),
    targetFirst: options.targetFirst,
    weak: options.weak === true,
    scan: options.scan === true,
  };
}

function address(text: string | undefined): Address | undefined {
  if (text === undefined) return undefined;
  const words = parseIp(text);
  if (words === undefined) throw new AppError("USAGE", `"${text}" is no IP address`);
  return words;
}
