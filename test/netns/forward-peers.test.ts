/** UDP between peers: who speaks first from a forwarded port is seen at it and reached there, whenever it was opened. */
import { expect, test } from "@jest/globals";
import { inUrl } from "../support/crossings.ts";
import { FAMILIES, type Family } from "../support/families.ts";
import { withNetwork, type Network } from "../support/network.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

/** A server of the peer that tells each client its port. */
async function startTeller(net: Network, { digit }: Family): Promise<void> {
  const only = digit === "6" ? ",ipv6only=1" : "";
  await net.peer.start(`socat UDP${digit}-RECVFROM:4001,fork${only} SYSTEM:'echo "port $SOCAT_PEERPORT"'`);
  await net.peer.run("until ss -Hlnu 'sport = :4001' | grep -q .; do sleep 0.05; done");
}

/** What the container hears from the peer when it speaks from a port. */
const speak = async (net: Network, { digit, peer }: Family, port: number): Promise<string> => {
  const target = `UDP${digit}:${inUrl(peer)}:4001,sourceport=${port},reuseaddr`;
  return (await net.container.run(`echo hello | socat -t 3 - ${target}`)).trim();
};

test.each(FAMILIES)(
  "$name: the peer sees the forwarded port, but not one that leads elsewhere",
  async (family) => {
    const options = ["-u", "4500,8000:80"];
    await withNetwork(stage(), { options }, async (net) => {
      await startTeller(net, family);
      expect(await speak(net, family, 4500)).toBe("port 4500");
      expect(await speak(net, family, 8000)).not.toBe("port 8000");
    });
  },
  60_000,
);

test.each(FAMILIES)(
  "$name: a port from which the container speaks can be forwarded",
  async (family) => {
    await withNetwork(stage(), { options: ["--name", "web"] }, async (net) => {
      await startTeller(net, family);
      expect(await speak(net, family, 4500)).toBe("port 4500");
      await net.user.run(`${stage().bucatini} ports add web -u 4500`);
      expect(await speak(net, family, 4500)).toBe("port 4500");
      const only = family.digit === "6" ? ",ipv6only=1" : "";
      await net.container.start(`socat UDP${family.digit}-RECVFROM:4500,fork${only} SYSTEM:'echo inside'`);
      await net.container.run("until ss -Hlnu 'sport = :4500' | grep -q .; do sleep 0.05; done");
      const ask = `echo hello | socat -t 3 - UDP${family.digit}:${inUrl(family.outside)}:4500`;
      expect((await net.peer.run(ask)).trim()).toBe("inside");
    });
  },
  60_000,
);
