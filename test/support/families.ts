/** The two address families of the test network (network.ts shows it): each test runs over both. */

export interface Family {
  readonly name: "IPv4" | "IPv6";
  /** "4" or "6", as many programs spell their option. */
  readonly digit: "4" | "6";
  readonly peer: string;
  /** The same, in brackets where a port follows. */
  readonly peerHost: string;
  /** The host's address, which the container has too. */
  readonly outside: string;
  /** Default gateway of "outside" and of the container; inside it stands for the host's loopback. */
  readonly gateway: string;
  readonly gatewayHost: string;
  readonly loopback: string;
  /** An address of the peer's subnet whose neighbour entry leads nowhere: packets vanish. */
  readonly blackHole: string;
  /** An address of the peer's subnet that nobody has: the router says "host unreachable" after three seconds. */
  readonly nobody: string;
  readonly dnsForward: string;
}

export const FAMILIES: readonly Family[] = [
  {
    name: "IPv4",
    digit: "4",
    peer: "203.0.113.1",
    peerHost: "203.0.113.1",
    outside: "198.51.100.2",
    gateway: "198.51.100.1",
    gatewayHost: "198.51.100.1",
    loopback: "127.0.0.1",
    blackHole: "203.0.113.66",
    nobody: "203.0.113.77",
    dnsForward: "198.51.100.53",
  },
  {
    name: "IPv6",
    digit: "6",
    peer: "2001:db8:2::1",
    peerHost: "[2001:db8:2::1]",
    outside: "2001:db8:1::2",
    gateway: "2001:db8:1::1",
    gatewayHost: "[2001:db8:1::1]",
    loopback: "::1",
    blackHole: "2001:db8:2::66",
    nobody: "2001:db8:2::77",
    dnsForward: "2001:db8:1::53",
  },
];
