/** Whole files, many streams and datagrams through forwarded ports, with real programs, both families. */
import { describe, expect, test } from "@jest/globals";
import { CROSSINGS, EVERY_ADDRESS, inUrl } from "../support/crossings.ts";
import { FAMILIES } from "../support/families.ts";
import { withNetwork } from "../support/network.ts";
import { createPayload, startDnsmasq, startLittleServers, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const MIB = 1 << 20;

interface Iperf {
  readonly end: {
    readonly sum_received?: { readonly bytes: number };
    readonly sum?: { readonly bytes: number; readonly lost_percent: number };
  };
}

describe.each(CROSSINGS)("$name", ({ options, client, server, to }) => {
  test("curl moves a file of 256 MiB in both directions", async () => {
    const sha256 = await createPayload(stage(), "payload", 256 * MIB);
    await withNetwork(stage(), { options }, async (net) => {
      await startNginx(net, server(net));
      for (const family of FAMILIES) {
        const url = `http://${inUrl(to(family))}:7080`;
        const down = await client(net).run(`curl -sS --fail ${url}/payload | sha256sum`, { seconds: 60 });
        expect(`${family.name} down ${down.trim()}`).toBe(`${family.name} down ${sha256}`);
        await client(net).run(`curl -sS --fail -T $T/www/payload ${url}/upload`, { seconds: 60 });
        const up = await server(net).run("sha256sum < $T/www/upload; rm $T/www/upload", { seconds: 30 });
        expect(`${family.name} up ${up.trim()}`).toBe(`${family.name} up ${sha256}`);
      }
    });
  }, 120_000);

  test("iperf3: 8 streams each way, datagrams each way", async () => {
    await withNetwork(stage(), { options }, async (net) => {
      await server(net).start("iperf3 -s", { port: 5201 });
      for (const family of FAMILIES) {
        const command = `iperf3 -${family.digit} -c ${to(family)} -p 7201 -J`;
        for (const mode of ["-P 8", "-P 8 -R"]) {
          const json = await client(net).run(`${command} -n 512M ${mode}`, { seconds: 30 });
          const bytes = (JSON.parse(json) as Iperf).end.sum_received?.bytes ?? 0;
          // The receiver stops counting when the sender has queued its last byte: what is in buffers then is missing.
          expect(`${mode} ${bytes > 256 * MIB}`).toBe(`${mode} true`);
        }
        for (const mode of ["", "-R"]) {
          const json = await client(net).run(`${command} -u -b 50M -l 1200 -n 6M ${mode}`, { seconds: 30 });
          const sum = (JSON.parse(json) as Iperf).end.sum;
          expect(sum?.bytes).toBeGreaterThanOrEqual(5 * MIB);
          expect(sum?.lost_percent).toBeLessThan(5);
        }
      }
    });
  }, 120_000);

  test("datagrams of every size are echoed unchanged, dig asks by UDP and by TCP", async () => {
    await withNetwork(stage(), { options: [...options, ...ofNames(options)] }, async (net) => {
      await startLittleServers(server(net), EVERY_ADDRESS);
      await startDnsmasq(
        server(net),
        FAMILIES.flatMap(({ loopback, outside }) => [loopback, outside]),
      );
      for (const family of FAMILIES) {
        for (const size of [0, 1, 1200, 1472, 1473, 60_000]) {
          const text = await client(net).run(`node $T/client.mjs datagrams ${to(family)} 7007 ${size} 5`);
          expect({ size, ...(JSON.parse(text) as object) }).toEqual({
            size,
            echoed: 5,
            lost: 0,
            wrong: 0,
            errors: [],
          });
        }
        const dig = `dig +short +tries=1 +time=3 -p 7053 @${to(family)}`;
        expect(await client(net).run(`${dig} www.test A; ${dig} +tcp www.test AAAA`)).toBe(
          "192.0.2.7\n2001:db8::7\n",
        );
      }
    });
  }, 60_000);
});

/** Port 53 as well, in the direction of the other ports. */
function ofNames(options: readonly string[]): string[] {
  return options.includes("-t") ? ["-t", "7053:53", "-u", "7053:53"] : ["-T", "7053:53", "-U", "7053:53"];
}
