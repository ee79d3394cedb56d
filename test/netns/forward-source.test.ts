/** Who a client is, as the server behind a forwarded port sees it: itself, or an address that can be answered. */
import { describe, expect, test } from "@jest/globals";
import { canonical, inUrl } from "../support/crossings.ts";
import { FAMILIES, type Family } from "../support/families.ts";
import { withNetwork, type Network } from "../support/network.ts";
import type { Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const PORTS = ["-t", "7001:4001", "-u", "7001:4001"];
const OUTWARD = ["-T", "7001:4001", "-U", "7001:4001"];
/** An address that the container may take for the host. */
const ALIAS = { "4": "198.51.100.77", "6": "2001:db8:1::77" };
/** What socat knows of a connection. */
const TELL = "SYSTEM:'read line; echo from $SOCAT_PEERADDR $SOCAT_PEERPORT to $SOCAT_SOCKADDR'";

interface Visit {
  readonly who: string;
  readonly client: (net: Network) => Space;
  readonly to: (family: Family) => string;
  /** What the server must see as the client's address. */
  readonly seen: (family: Family) => string;
  /** Where the client has arrived. */
  readonly at: (family: Family) => string;
  /** A connection by the bypass has a port of the engine's; a datagram always has the client's. */
  readonly bypass?: true;
}

const outside = (family: Family): string => family.outside;
const loopback = (family: Family): string => family.loopback;
const gateway = (family: Family): string => family.gateway;
const otherLoopback = (): string => "127.0.0.53";

const fromPeer: Visit = {
  who: "another machine",
  client: (net) => net.peer,
  to: outside,
  seen: (family) => family.peer,
  at: outside,
};
const fromRouter: Visit = { ...fromPeer, who: "the gateway", client: (net) => net.router, seen: gateway };
/** The container cannot answer to its own address. */
const fromHost: Visit = {
  who: "the host by its own address, which is the container's too",
  client: (net) => net.outside,
  to: outside,
  seen: gateway,
  at: outside,
};
const overTap: Visit = { ...fromHost, who: "the host by its loopback", to: loopback };
const bypass: Visit = { ...overTap, seen: outside, at: outside, bypass: true };
const outward: Visit = {
  ...bypass,
  who: "the container by its loopback",
  client: (net) => net.container,
  seen: loopback,
  at: loopback,
};

const CASES: readonly { readonly options: readonly string[]; readonly visits: readonly Visit[] }[] = [
  { options: PORTS, visits: [fromPeer, fromRouter, fromHost, bypass] },
  {
    options: [...PORTS, "--host-lo-to-ns-lo"],
    visits: [fromPeer, { ...bypass, seen: loopback, at: loopback }],
  },
  { options: [...PORTS, "--no-splice"], visits: [fromPeer, overTap] },
  { options: [...PORTS, "--no-splice", "--no-map-gw"], visits: [overTap] },
  {
    options: [...PORTS, "--map-guest-addr", ALIAS["4"], "--map-guest-addr", ALIAS["6"]],
    visits: [{ ...fromHost, seen: ({ digit }) => ALIAS[digit], at: outside }],
  },
  { options: OUTWARD, visits: [outward] },
];

describe.each(FAMILIES)("$name", (family) => {
  test.each(CASES)(
    "with $options",
    async ({ options, visits }) => {
      await withNetwork(stage(), { options }, async (net) => {
        await startTellers(options === OUTWARD ? net.outside : net.container, family);
        for (const [index, visit] of visits.entries()) {
          // Two that the container sees at one address may not have one port.
          const port = 20_100 + index;
          expect(await told(net, visit, family, port)).toEqual(wanted(visit, family, port));
        }
      });
    },
    60_000,
  );
});

test("TCP by the bypass outwards keeps other loopback addresses of IPv4", async () => {
  await withNetwork(stage(), { options: OUTWARD }, async (net) => {
    await startTellers(net.outside, FAMILIES[0]);
    const visit = { ...outward, to: otherLoopback, at: otherLoopback };
    const { tcp } = await told(net, visit, FAMILIES[0], 20_100);
    expect(tcp).toEqual(wanted(visit, FAMILIES[0], 20_100).tcp);
  });
}, 60_000);

test("a neighbour by link-local addresses", async () => {
  await withNetwork(stage(), { options: PORTS }, async (net) => {
    await startTellers(net.container, FAMILIES[1]);
    const [router, host, container] = await Promise.all([
      linkLocal(net.router, "near"),
      linkLocal(net.outside, "eth0"),
      linkLocal(net.container, "eth0"),
    ]);
    const visit = { ...fromRouter, to: () => `${host}%near`, seen: () => router, at: () => container };
    const answer = await told(net, visit, FAMILIES[1], 20_100);
    expect(answer).toEqual(wanted(visit, FAMILIES[1], 20_100));
  });
}, 60_000);

async function linkLocal(space: Space, device: string): Promise<string> {
  const text = await space.run(`ip -6 -o address show dev ${device} scope link`);
  return /inet6 (\S+)\//.exec(text)?.[1] ?? "";
}

async function startTellers(space: Space, { digit }: Family): Promise<void> {
  const only = digit === "6" ? ",ipv6only=1" : "";
  await space.start(`socat TCP${digit}-LISTEN:4001,fork,reuseaddr${only} ${TELL}`, { port: 4001 });
  await space.start(`socat UDP${digit}-RECVFROM:4001,fork${only} ${TELL}`);
  await space.run("until ss -Hlnu 'sport = :4001' | grep -q .; do sleep 0.05; done");
}

interface Told {
  readonly who: string;
  readonly tcp: readonly string[];
  readonly udp: readonly string[];
}

const wanted = (visit: Visit, family: Family, port: number): Told => ({
  who: visit.who,
  tcp: [visit.seen(family), visit.bypass === true ? "any port" : String(port), visit.at(family)],
  udp: [visit.seen(family), String(port)],
});

/** What the server says of a client that comes by TCP, and of one that comes by UDP. */
async function told(net: Network, visit: Visit, family: Family, clientPort: number): Promise<Told> {
  const ask = async (protocol: string): Promise<string[]> => {
    const target = `${protocol}${family.digit}:${inUrl(visit.to(family))}:7001`;
    const text = await visit
      .client(net)
      .run(`echo hello | socat -t 0.5 - ${target},sourceport=${clientPort},reuseaddr`);
    const [, from = "nobody", port = "", , at = ""] = text.trim().split(" ");
    return [canonical(from), port, canonical(at)];
  };
  const [from = "", port = "", at = ""] = await ask("TCP");
  const udp = await ask("UDP");
  return { who: visit.who, tcp: [from, visit.bypass === true ? "any port" : port, at], udp: udp.slice(0, 2) };
}
