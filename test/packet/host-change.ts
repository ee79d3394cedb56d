/** What happens to the host as a whole while a script runs. */
import type { Link } from "../../src/proto/link.ts";
import type { Stack } from "../../src/proto/stack.ts";
import { type FakeNet, ip } from "../support/fake-net.ts";

const EVENTS: ReadonlySet<string> = new Set(["stock", "changed", "neighbor", "now"]);

/** Whether an event of a script is none of a socket. */
export const isHostEvent = ([name]: readonly string[]): boolean => EVENTS.has(name);

export function hostEvent(net: FakeNet, stack: Stack, [name, ...values]: string[]): void {
  if (name === "stock") stack.insideReady();
  else if (name === "changed") stack.hostChanged();
  else if (name === "neighbor") net.host.neighbours.set(values[0], values[1]);
  else stack.networkChanged(becomeNow(net, values));
}

/** Makes `NAME VALUE...` what the container has from now on; returns the link as it was. */
function becomeNow(net: FakeNet, [name, ...values]: string[]): Link {
  const { link, rules } = net;
  const before = { ...link };
  const family = values[0].includes(":") ? "v6" : "v4";
  switch (name) {
    case "address": {
      // All addresses of the family; of IPv4, each with 24 bits.
      const assigned = values.map(ip);
      rules[family].assigned = assigned;
      const prefixLengths = values.map(() => 24);
      if (family === "v4") link.v4 = { ...link.v4, assigned, prefixLengths };
      else link.v6 = { ...link.v6, assigned };
      return before;
    }
    case "ours":
      rules[family].ours = ip(values[0]);
      if (family === "v4") link.v4 = { ...link.v4, ours: ip(values[0]) };
      else link.v6 = { ...link.v6, ours: ip(values[0]) };
      return before;
    case "mtu":
      link.mtu = Number(values[0]);
      return before;
    case "resolvers":
      link.advertise = { ...link.advertise, resolvers: values.map(ip) };
      return before;
    default:
      throw new Error(`nothing of the host that changes: ${name}`);
  }
}
