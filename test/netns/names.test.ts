/** Names: dnsmasq asked directly, and through the address that stands for whatever resolver the host uses. */
import { expect, test } from "@jest/globals";
import { FAMILIES, type Family } from "../support/families.ts";
import { withNetwork, type Network } from "../support/network.ts";
import { startDnsmasq } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const PEERS = FAMILIES.map((family) => family.peer);
const FORWARD = FAMILIES.flatMap((family) => ["--dns-forward", family.dnsForward]);
const DIG = "dig +short +time=3 +tries=1";

const LONG = "9".repeat(200);
const ANSWERS = ["192.0.2.7", "2001:db8::7", "192.0.2.7", "2001:db8::7", "long"];

/** Asks `server` for both addresses of a name over UDP and TCP, and for a text that needs TCP in the end. */
async function answers(net: Network, server: string): Promise<string[]> {
  const words: string[] = [];
  for (const transport of ["+notcp", "+tcp"]) {
    const answer = await net.container.run(`${DIG} ${transport} @${server} www.test A www.test AAAA`);
    words.push(...answer.trim().split("\n"));
  }
  const text = await net.container.run(`${DIG} @${server} long.test TXT`);
  return [...words, text.includes(LONG) ? "long" : text];
}

test.each(FAMILIES)(
  "dig asks the peer's dnsmasq over $name",
  async ({ peer }) => {
    await withNetwork(stage(), {}, async (net) => {
      await startDnsmasq(net.peer, PEERS);
      expect(await answers(net, peer)).toEqual(ANSWERS);
    });
  },
  60_000,
);

test.each(FAMILIES)(
  "the DNS address over $name reaches the host's resolver",
  async ({ dnsForward }) => {
    await withNetwork(stage(), { options: FORWARD }, async (net) => {
      await startDnsmasq(net.peer, PEERS);
      expect(await answers(net, dnsForward)).toEqual(ANSWERS);
    });
  },
  60_000,
);

const LOOPBACK_RESOLVER: Readonly<Record<Family["name"], string>> = { IPv4: "127.0.0.53", IPv6: "::1" };

test.each(FAMILIES)(
  "the DNS address over $name reaches a resolver on the host's loopback",
  async (family) => {
    const address = LOOPBACK_RESOLVER[family.name];
    const options = { options: FORWARD, resolvConf: `nameserver ${address}\n` };
    await withNetwork(stage(), options, async (net) => {
      await startDnsmasq(net.outside, [address]);
      expect(await answers(net, family.dnsForward)).toEqual(ANSWERS);
    });
  },
  60_000,
);

test("a program inside resolves names without any configuration", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await startDnsmasq(net.peer, PEERS);
    expect(await net.container.run("getent ahostsv4 www.test")).toContain("192.0.2.7");
    expect(await net.container.run("getent ahostsv6 www.test")).toContain("2001:db8::7");
  });
}, 60_000);
