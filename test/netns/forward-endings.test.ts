/** Every way a forwarded connection can end, or fail to begin, looks on one side as it was on the other. */
import { describe, expect, test } from "@jest/globals";
import { CROSSINGS, EVERY_ADDRESS, inUrl } from "../support/crossings.ts";
import { FAMILIES } from "../support/families.ts";
import { withNetwork } from "../support/network.ts";
import { createPayload, startLittleServers } from "../support/servers.ts";
import { outputOf } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const PAYLOAD_BYTES = 5_000_000;

describe.each(CROSSINGS)("$name", ({ options, client, server, to }) => {
  test("nobody listens, and two kinds of reset: the client sees a reset", async () => {
    await withNetwork(stage(), { options }, async (net) => {
      const outcome = async (address: string, port: number): Promise<string> => {
        const text = await client(net).run(`node $T/client.mjs outcome ${address} ${port}`);
        return (JSON.parse(text) as { outcome: string }).outcome;
      };
      for (const family of FAMILIES) {
        expect(`${family.name} closed: ${await outcome(to(family), 7007)}`).toBe(
          `${family.name} closed: ECONNRESET`,
        );
      }
      await startLittleServers(server(net), EVERY_ADDRESS);
      for (const family of FAMILIES) {
        for (const port of [7009, 7013]) {
          expect(`${family.name} ${port}: ${await outcome(to(family), port)}`).toBe(
            `${family.name} ${port}: ECONNRESET`,
          );
        }
      }
    });
  }, 60_000);

  test("the server sees how the client ended: in order, or with a reset", async () => {
    await withNetwork(stage(), { options }, async (net) => {
      const servers = await startLittleServers(server(net), EVERY_ADDRESS);
      const seen: string[] = [];
      for (const family of FAMILIES) {
        for (const verb of ["sequential", "reset"]) {
          const before = servers.output().length;
          await client(net).run(`node $T/client.mjs ${verb} ${to(family)} 7015 1`);
          await outputOf(servers, "ended", before);
          seen.push(servers.output().slice(before).trim());
        }
      }
      const both = ["ended in order", "ended with ECONNRESET"];
      expect(seen).toEqual([...both, ...both]);
    });
  }, 60_000);

  test("the client closes its side first, the answer still comes", async () => {
    const sha256 = await createPayload(stage(), "payload", PAYLOAD_BYTES);
    await withNetwork(stage(), { options }, async (net) => {
      const answerer = "SYSTEM:'sha256sum; cat $T/www/payload'";
      await server(net).start(`socat -t 20 TCP6-LISTEN:4001,ipv6only=0,fork ${answerer}`, { port: 4001 });
      for (const family of FAMILIES) {
        const target = `TCP${family.digit}:${inUrl(to(family))}:7401`;
        const answer = await client(net).run(
          `socat -t 20 - ${target} < $T/www/payload > $TMPDIR/answer
          head -n 1 $TMPDIR/answer; tail -n +2 $TMPDIR/answer | sha256sum; rm $TMPDIR/answer`,
        );
        expect(answer.trim().split("\n")).toEqual([sha256, sha256]);
      }
    });
  }, 60_000);

  test("the server closes its side first and still receives", async () => {
    const sum = await createPayload(stage(), "payload", PAYLOAD_BYTES);
    await withNetwork(stage(), { options }, async (net) => {
      const servers = await startLittleServers(server(net), EVERY_ADDRESS);
      for (const family of FAMILIES) {
        // The client must have seen the end of the server's side before it sends anything.
        const sender = `(sleep 0.5; cat $T/www/payload) | nc -${family.digit} -N ${to(family)} 7011`;
        const before = servers.output().length;
        expect(await client(net).run(sender)).toBe("bye\n");
        await outputOf(servers, "received", before);
        expect(servers.output().slice(before)).toContain(`received ${sum.split(" ")[0]}`);
      }
    });
  }, 60_000);
});
