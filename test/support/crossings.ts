/** The ways in which a forwarded port carries traffic between container and outside. Each test runs over all of them. */
import type { Family } from "./families.ts";
import type { Network } from "./network.ts";
import type { Space } from "./space.ts";

/** Port NN of a server is forwarded from 70NN, iperf3's from 7201; the little servers are in programs/server.ts. */
const TCP_PORTS = "7007:7,7009:9,7011:11,7013:13,7015:15,7017:17,7019:19,7080:80,7201:5201,7401:4001";
const UDP_PORTS = "7007:7,7201:5201,7401:4001";
const INTO_CONTAINER = ["-t", TCP_PORTS, "-u", UDP_PORTS];
const OUT_OF_CONTAINER = ["-T", TCP_PORTS, "-U", UDP_PORTS];

export interface Crossing {
  readonly name: string;
  /** Words for bucatini. */
  readonly options: readonly string[];
  readonly client: (net: Network) => Space;
  readonly server: (net: Network) => Space;
  /** Where the client connects to. */
  readonly to: (family: Family) => string;
}

export const CROSSINGS: readonly Crossing[] = [
  {
    name: "from the network over the TAP",
    options: INTO_CONTAINER,
    client: (net) => net.peer,
    server: (net) => net.container,
    to: (family) => family.outside,
  },
  {
    name: "from the host's loopback over the TAP",
    options: [...INTO_CONTAINER, "--no-splice"],
    client: (net) => net.outside,
    server: (net) => net.container,
    to: (family) => family.loopback,
  },
  {
    name: "from the host's loopback by the bypass",
    options: INTO_CONTAINER,
    client: (net) => net.outside,
    server: (net) => net.container,
    to: (family) => family.loopback,
  },
  {
    name: "from the container's loopback by the bypass",
    options: OUT_OF_CONTAINER,
    client: (net) => net.container,
    server: (net) => net.outside,
    to: (family) => family.loopback,
  },
];

/** Every address of both families: the little servers on all of them. */
export const EVERY_ADDRESS = "::";

/** An address as it stands in front of a port. */
export const inUrl = (address: string): string => (address.includes(":") ? `[${address}]` : address);

/** An address as we write it; socat writes those of IPv6 in brackets and in full. */
export function canonical(text: string): string {
  return text.startsWith("[") ? new URL(`http://${text}`).hostname.slice(1, -1) : text;
}
