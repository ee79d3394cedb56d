/** What an engine writes down: packets, statistics, and a log that does not grow without end. */
import { expect, test } from "@jest/globals";
import { withNetwork, withNamespaces } from "../support/network.ts";
import { prelude } from "../support/prelude.ts";
import { createPayload, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const MIB = 1 << 20;
const URLS = ["http://203.0.113.1", "http://[2001:db8:2::1]"];

test("tcpdump reads a capture: what was sent and received, whole and in its order", async () => {
  const sha256 = await createPayload(stage(), "payload", MIB);
  await withNetwork(stage(), { options: ["--capture", "/run/tmp/pcap"] }, async (net) => {
    await startNginx(net);
    for (const url of URLS) {
      const sum = await net.container.run(`curl -sS --fail ${url}/payload | sha256sum`);
      expect(sum.trim()).toBe(sha256);
    }
    expect(await net.user.run("stat -c %a /run/tmp/pcap")).toBe("600\n");
    // Frames of 64 KiB are kept whole; their checksums are the receiver's to complete.
    const text = await net.user.run("tcpdump -n --dont-verify-checksums -r /run/tmp/pcap tcp 2>&1");
    expect(text).toContain("link-type EN10MB");
    const lines = text.split("\n");
    const [syn, synAck, ack] = lines.filter((line) => line.includes("203.0.113.1.80"));
    expect(syn).toMatch(/198\.51\.100\.2\.\d+ > 203\.0\.113\.1\.80: Flags \[S\]/);
    expect(synAck).toMatch(/203\.0\.113\.1\.80 > 198\.51\.100\.2\.\d+: Flags \[S\.\]/);
    expect(ack).toMatch(/198\.51\.100\.2\.\d+ > 203\.0\.113\.1\.80: Flags \[\.\]/);
    const lengths = lines
      .map((line) => /2001:db8:2::1\.80 > .* length (\d+)/.exec(line))
      .map((found) => Number(found?.[1] ?? 0));
    expect(lengths.reduce((sum, length) => sum + length)).toBeGreaterThan(MIB);
    const status = JSON.parse(await net.user.run(`${net.stage.bucatini} status --json`)) as Record<
      string,
      unknown
    >;
    expect(status).toMatchObject({ captureFile: "/run/tmp/pcap" });
    await net.user.run("rm /run/tmp/pcap");
  });
}, 60_000);

test("a disk that is full stops no traffic: what found room can be read, the rest is counted", async () => {
  const sha256 = await createPayload(stage(), "payload", MIB);
  await withNamespaces(stage(), {}, async (net) => {
    await net.outside.run("mkdir /run/small; mount -t tmpfs -o size=128k,mode=1777 tmpfs /run/small");
    await net.startContainer(["--capture", "/run/small/pcap"]);
    await startNginx(net);
    const sum = await net.container.run(`curl -sS --fail ${URLS[0]}/payload | sha256sum`);
    expect(sum.trim()).toBe(sha256);
    const text = await net.user.run("tcpdump -n -r /run/small/pcap tcp 2>&1");
    expect(text).toMatch(/Flags \[S\.\]/);
    expect(text).not.toContain("truncated");
    const status = await net.user.run(`${net.stage.bucatini} status`);
    expect(status).toMatch(/captureLost: [1-9]/);
    await net.stopContainer();
  });
}, 60_000);

test("a log with a limit keeps its first line and its last ones", async () => {
  const options = ["--log-level", "trace", "--log-limit", "40k", "--log-file", "/run/tmp/log"];
  await withNetwork(stage(), { options }, async (net) => {
    await net.container.run("ping -q -c 200 -i 0.002 203.0.113.1");
    const lines = (await net.user.run("cat /run/tmp/log")).trim().split("\n");
    const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(messages[0]).toMatch(/^bucatini .* starts$/);
    expect(messages.at(-1)).toMatch(/^[<>] .*|.* -> /);
    expect(messages).not.toContain("the engine is ready");
    const size = Number(await net.user.run("stat -c %s /run/tmp/log"));
    expect(size).toBeLessThanOrEqual(40_960);
    expect(size).toBeGreaterThan(20_000);
    await net.user.run("rm /run/tmp/log");
  });
}, 60_000);

test("an engine logs more, and less again, while it runs", async () => {
  await withNetwork(stage(), {}, async (net) => {
    const log = "cat $XDG_RUNTIME_DIR/bucatini/*/engine.log";
    const { bucatini } = net.stage;
    await net.user.run(`${bucatini} log-level debug; ${bucatini} status | grep -q "^logLevel: debug"`);
    await net.container.run("ping -q -c 1 203.0.113.1");
    await net.user.run(`${bucatini} log-level error`);
    const before = await net.user.run(log);
    expect(before).toMatch(/"level":"debug".*"flow":/);
    await net.container.run("ping -q -c 1 203.0.113.1");
    expect(await net.user.run(log)).toBe(before);
    const wrong = await net.user.attempt(`${bucatini} log-level loud`);
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringContaining("log-level loud: not one of error"),
    ]);
  });
}, 60_000);

test("in the foreground, statistics are printed while there is something to tell", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const output = await net.user.run(
      `${prelude(stage())}
      target
      $B attach -f --stats 1 --log-file $TMPDIR/log $T 2> $TMPDIR/stats & A=$!
      until grep -q "^tapFramesOut .*+" $TMPDIR/stats; do
        nsenter -t $T -U --preserve-credentials -n ping -q -c 1 203.0.113.1 > $TMPDIR/ping
      done
      kill $T
      wait $A && cat $TMPDIR/stats
      rm $TMPDIR/log $TMPDIR/stats $TMPDIR/ping`,
      { seconds: 10 },
    );
    expect(output).toMatch(/^counter +total +since$/m);
    expect(output).toMatch(/^tapFramesIn +\d+ +\+\d+$/m);
  });
}, 60_000);
