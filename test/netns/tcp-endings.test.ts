/** Every way a connection can end, or fail to begin, looks inside as it does outside. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { withNetwork } from "../support/network.ts";
import { createPayload, startLittleServers, startSshd } from "../support/servers.ts";
import { outputOf, sleep } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const PAYLOAD_BYTES = 5_000_000;
/** Shell: the first line of the answer, the sum of the rest. */
const SPLIT_ANSWER = "head -n 1 $TMPDIR/answer; tail -n +2 $TMPDIR/answer | sha256sum; rm $TMPDIR/answer";

test.each(FAMILIES)(
  "$name: the client closes its side first, the answer still comes",
  async ({ digit, peerHost }) => {
    const sha256 = await createPayload(stage(), "payload", PAYLOAD_BYTES);
    await withNetwork(stage(), {}, async (net) => {
      await net.peer.start(
        `socat -t 20 TCP${digit}-LISTEN:4001,fork SYSTEM:'sha256sum; cat $T/www/payload'`,
        { port: 4001 },
      );
      const answer = await net.container.run(
        `socat -t 20 - TCP${digit}:${peerHost}:4001 < $T/www/payload > $TMPDIR/answer; ${SPLIT_ANSWER}`,
      );
      expect(answer.trim().split("\n")).toEqual([sha256, sha256]);
    });
  },
  60_000,
);

test.each(FAMILIES)(
  "$name: the server closes its side first and still receives",
  async ({ digit, peer }) => {
    const sum = await createPayload(stage(), "payload", PAYLOAD_BYTES);
    await withNetwork(stage(), {}, async (net) => {
      const server = await startLittleServers(net.peer);
      // The client must have seen the end of the server's side before it sends anything.
      const client = `(sleep 0.5; cat $T/www/payload) | nc -${digit} -N ${peer} 11`;
      expect(await net.container.run(client)).toBe("bye\n");
      await outputOf(server, "received");
      expect(server.output()).toContain(`received ${sum.split(" ")[0]}`);
    });
  },
  60_000,
);

test.each(FAMILIES)(
  "$name: ssh runs a command that reads to the end and answers with 10 MB",
  async ({ peer }) => {
    const sha256 = await createPayload(stage(), "payload", 2 * PAYLOAD_BYTES);
    await withNetwork(stage(), {}, async (net) => {
      const ssh = await startSshd(net);
      const file = `${net.stage.dir}/www/payload`;
      const answer = await net.container.run(
        `${ssh} ${peer} 'sha256sum; cat ${file}; exit 7' < ${file} > $TMPDIR/answer; echo $?; ${SPLIT_ANSWER}`,
      );
      expect(answer.trim().split("\n")).toEqual(["7", sha256, sha256]);
      await net.peer.run("rm $T/id* $T/hostkey*");
    });
  },
  60_000,
);

test.each(FAMILIES)(
  "$name: nc to a closed port is refused at once",
  async ({ digit, peer }) => {
    await withNetwork(stage(), {}, async (net) => {
      const ended = await net.container.attempt(`nc -${digit} -v -w 5 ${peer} 1`);
      expect(ended.stderr).toMatch(/refused/i);
      expect(ended.code).toBe(1);
      expect(ended.ms).toBeLessThan(1000);
    });
  },
  60_000,
);

test.each(FAMILIES)(
  "$name: nc to a black hole waits as long as it was told",
  async ({ digit, blackHole }) => {
    await withNetwork(stage(), {}, async (net) => {
      const ended = await net.container.attempt(`nc -${digit} -v -w 3 ${blackHole} 80`);
      expect(ended.stderr).toMatch(/timed out/i);
      expect(ended.ms).toBeGreaterThan(2900);
    });
  },
  60_000,
);

interface Outcome {
  readonly outcome: string;
  readonly ms: number;
  readonly bytes: number;
}

test.each(FAMILIES)(
  "$name: resets and unreachable hosts give the same error inside as outside",
  async (family) => {
    await withNetwork(stage(), {}, async (net) => {
      await startLittleServers(net.peer);
      const targets = [
        ["a reset in answer to a request", `${family.peer} 9`, "ECONNRESET"],
        ["a reset right after the handshake", `${family.peer} 13`, "ECONNRESET"],
        ["nobody at that address", `${family.nobody} 80`, "EHOSTUNREACH"],
      ] as const;
      for (const [title, target, wanted] of targets) {
        const command = `node $T/client.mjs outcome ${target}`;
        const outside = JSON.parse(await net.outside.run(command)) as Outcome;
        expect(`${title}, outside: ${outside.outcome}`).toBe(`${title}, outside: ${wanted}`);
        const inside = JSON.parse(await net.container.run(command)) as Outcome;
        expect(`${title}, inside: ${inside.outcome}`).toBe(`${title}, inside: ${wanted}`);
      }
    });
  },
  60_000,
);

test.each(FAMILIES)(
  "$name: a client that is killed resets or ends its connection at the server",
  async (family) => {
    await withNetwork(stage(), {}, async (net) => {
      await startLittleServers(net.peer);
      const client = await net.container.start(`nc -${family.digit} ${family.peer} 7`);
      const connections = "ss -Hnt state established state close-wait 'sport = :7'";
      await net.peer.run(`until ${connections} | grep -q .; do sleep 0.05; done`);
      await client.kill();
      await sleep(500);
      expect(await net.peer.run(connections)).toBe("");
    });
  },
  60_000,
);
