/** The ports that this machine's kernel gives to sockets which ask for no particular one. */
import { readFileSync } from "node:fs";
import type { PortRange } from "../config/port-spec.ts";

/** The dynamic ports of RFC 6335 section 6. */
const DYNAMIC_PORTS: PortRange = { first: 49_152, last: 65_535 };

/** The range in force in our network namespace. @see ip(7), ip_local_port_range */
export function ephemeralPorts(path = "/proc/sys/net/ipv4/ip_local_port_range"): PortRange {
  try {
    const [first, last] = readFileSync(path, "utf8").trim().split(/\s+/).map(Number);
    return first >= 1 && last >= first ? { first, last } : DYNAMIC_PORTS;
  } catch {
    // A container or a sandbox may hide it.
    return DYNAMIC_PORTS;
  }
}
