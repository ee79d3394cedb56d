/** Rules of port forwarding for tests. */
import { Pif } from "../../src/flow/state.ts";
import type { PortRule } from "../../src/forward/port-rule.ts";
import { IpProtocol } from "../../src/wire/ipv4.ts";

/** A rule for TCP clients of the host on port 80, which leads to the same port; with what is given instead. */
export const portRule = (rule: Partial<PortRule> = {}): PortRule => ({
  pif: Pif.Host,
  protocol: IpProtocol.Tcp,
  listen: undefined,
  device: undefined,
  first: 80,
  last: rule.first ?? 80,
  target: undefined,
  targetFirst: rule.first ?? 80,
  weak: false,
  scan: false,
  ...rule,
});
