/** What crosses between the two loopbacks: nothing unless it was asked for, and then only that. */
import { expect, test } from "@jest/globals";
import { FAMILIES, type Family } from "../support/families.ts";
import { withNetwork, type Network } from "../support/network.ts";
import { startLittleServers } from "../support/servers.ts";
import type { Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
/** How long an answer to a datagram is waited for. */
const PATIENCE_MS = 1000;
const IN = ["-t", "7011:11", "-u", "7007:7"];
const OUT = ["-T", "7011:11", "-U", "7007:7"];

/** What is tried: a request by TCP, and a datagram. */
interface Attempt {
  readonly from: "peer" | "host" | "container";
  readonly to: "loopback" | "outside";
  readonly answered: boolean;
}

/** The host tries its loopback and its own address, the peer the host's address. */
const inward = (byLoopback: boolean, byAddress: boolean): Attempt[] => [
  { from: "host", to: "loopback", answered: byLoopback },
  { from: "host", to: "outside", answered: byAddress },
  { from: "peer", to: "outside", answered: byAddress },
];
const outward = (byLoopback: boolean): Attempt[] => [
  { from: "container", to: "loopback", answered: byLoopback },
  { from: "container", to: "outside", answered: false },
];

interface Crossing {
  readonly options: readonly string[];
  readonly servers: "host" | "container";
  readonly bound: "loopback" | "outside";
  readonly attempts: readonly Attempt[];
}

const CROSSINGS: readonly Crossing[] = [
  { options: [], servers: "container", bound: "loopback", attempts: inward(false, false) },
  { options: [], servers: "container", bound: "outside", attempts: inward(false, false) },
  { options: [], servers: "host", bound: "loopback", attempts: outward(false) },
  { options: IN, servers: "container", bound: "loopback", attempts: inward(false, false) },
  { options: IN, servers: "container", bound: "outside", attempts: inward(true, true) },
  { options: IN, servers: "host", bound: "loopback", attempts: outward(false) },
  { options: OUT, servers: "host", bound: "loopback", attempts: [...outward(true), ...inward(false, false)] },
  { options: OUT, servers: "host", bound: "outside", attempts: [...outward(false), ...inward(false, false)] },
  { options: OUT, servers: "container", bound: "loopback", attempts: inward(false, false) },
  ...(["--host-lo-to-ns-lo", "--no-splice"] as const).flatMap((option): Crossing[] => {
    const arrivesAtLoopback = option === "--host-lo-to-ns-lo";
    const options = [...IN, option];
    return [
      { options, servers: "container", bound: "loopback", attempts: inward(arrivesAtLoopback, false) },
      { options, servers: "container", bound: "outside", attempts: inward(!arrivesAtLoopback, true) },
    ];
  }),
];

test.each(CROSSINGS)(
  "$options, servers on the $servers's $bound address",
  async ({ options, servers, bound, attempts }) => {
    await withNetwork(stage(), { options }, async (net) => {
      const addresses = FAMILIES.map((family) => family[bound]).join(" ");
      await startLittleServers(spaceOf(net, servers), addresses);
      const tried = FAMILIES.flatMap((family) => attempts.map((attempt) => ({ ...attempt, family })));
      const seen = await Promise.all(tried.map((attempt) => tryBoth(net, attempt)));
      const wanted = tried.flatMap((attempt) => [text(attempt, "TCP"), text(attempt, "UDP")]);
      const found = tried.flatMap((attempt, index) => [
        text({ ...attempt, answered: seen[index]?.tcp === "end" }, "TCP"),
        text({ ...attempt, answered: seen[index]?.echoed === 1 }, "UDP"),
      ]);
      expect(found).toEqual(wanted);
      // Refused at once, not left to wait.
      for (const { tcp } of seen) expect(tcp).toMatch(/^(end|ECONNREFUSED|ECONNRESET)$/);
    });
  },
  60_000,
);

const text = ({ family, from, to, answered }: Attempt & { family: Family }, how: string): string =>
  `${family.name} ${how} from ${from} to ${to}: ${answered ? "answered" : "not answered"}`;

function spaceOf(net: Network, name: "peer" | "host" | "container"): Space {
  return name === "host" ? net.outside : net[name];
}

async function tryBoth(
  net: Network,
  { from, to, family }: Attempt & { family: Family },
): Promise<{ tcp: string; echoed: number }> {
  const client = spaceOf(net, from);
  const [tcp, udp] = await Promise.all([
    client.run(`node $T/client.mjs outcome ${family[to]} 7011`),
    client.run(`node $T/client.mjs datagrams ${family[to]} 7007 10 1 ${PATIENCE_MS}`),
  ]);
  return {
    tcp: (JSON.parse(tcp) as { outcome: string }).outcome,
    echoed: (JSON.parse(udp) as { echoed: number }).echoed,
  };
}
