/** CHECK, GC and STATUS of the CNI plugin, and where it keeps its state. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cniCalls, CODES } from "../support/cni-calls.ts";
import { cniScript, documents, list, words } from "../support/cni.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
/** Ours: CHECK finds nothing that serves the container. */
const NO_ENGINE = 109;
const schema = JSON.parse(readFileSync(join(__dirname, "../../schemas/cni-config.schema.json"), "utf8")) as {
  properties: object;
};
const script = (text: string): Promise<string> => cniScript(stage(), text);

test("CHECK names what is gone: addresses, routes, the link, the engine", async () => {
  const output = await script(
    `${list({})}
    container
    runtime add > $TMPDIR/result
    runtime check
    inside ip address add 10.9.9.9/24 dev eth0
    runtime check
    inside ip address del 2001:db8:1::2/64 dev eth0
    inside ip route del default
    inside ip -6 route del default
    runtime check
    inside ip link set dev eth0 down
    runtime check
    kill -KILL $($B list | awk 'NR == 2 { print $2 }')
    until [ "$(rest)" = "" ]; do sleep 0.02; done
    runtime check
    runtime del
    rm $TMPDIR/result
    kill $T`,
  );
  expect(words(output)).toMatch(
    new RegExp(
      String.raw`^check 0
check 0
failed: bucatini check: 150 .*; the address 2001:db8:1::2/64 is gone; the route to 0.0.0.0/0 via 198.51.100.1 is gone; .*; the route to ::/0 via .*
check 1
failed: bucatini check: 150 .*; the interface eth0 is down; .*
check 1
failed: bucatini check: 109 the engine \S+ does not run: .*
check 1
del 0
$`,
    ),
  );
}, 60_000);

test("GC ends what is not valid, of its own network only; without a list it does nothing", async () => {
  const output = await script(
    `for name in a a b; do
      container
      L='{"cniVersion":"1.1.0","name":"'$name'","plugins":[{"type":"bucatini"}]}'
      runtime add > /dev/null
      LAST=$FIRST FIRST=$T KEEP=$ID
      echo $T >> $TMPDIR/all
    done
    count() { $B list | tail -n +2 | wc -l; }
    C='{"cniVersion":"1.1.0","name":"a","type":"bucatini"}'
    cni GC CNI_PATH=/nowhere
    C='{"cniVersion":"1.1.0","name":"a","type":"bucatini","cni.dev/valid-attachments":[{"containerID":7}]}'
    cni GC CNI_PATH=/nowhere
    count
    L='{"cniVersion":"1.1.0","name":"a","plugins":[{"type":"bucatini"}]}'
    runtime gc VALID="c$(head -n 1 $TMPDIR/all)/eth0 other/eth0"
    count
    runtime gc VALID=
    count
    L='{"cniVersion":"1.1.0","name":"b","plugins":[{"type":"bucatini"}]}'
    runtime gc VALID=$KEEP/eth1
    rest
    kill $(cat $TMPDIR/all)
    rm $TMPDIR/all`,
  );
  const [absent, bad] = documents(output);
  expect(absent).toMatchObject({
    code: 7,
    details: expect.stringContaining("/cni.dev~1valid-attachments is"),
  });
  expect(bad).toMatchObject({ code: 7, details: "/cni.dev~1valid-attachments/0/containerID must be text" });
  expect(words(output)).toBe("GC 1\nGC 1\n3\ngc 0\n2\ngc 0\n1\ngc 0\n");
}, 60_000);

test("STATUS tells whether containers could be connected", async () => {
  const output = await script(
    `C='{"cniVersion":"1.1.0","name":"net","type":"bucatini"}'
    cni STATUS CNI_PATH=/nowhere
    mount --bind /dev/null /dev/net/tun
    cni STATUS CNI_PATH=/nowhere
    umount /dev/net/tun
    C='{"cniVersion":"1.1.0","name":"net","type":"bucatini","mtu":"x"}'
    cni STATUS CNI_PATH=/nowhere`,
  );
  expect(words(output)).toBe("STATUS 0\nSTATUS 1\nSTATUS 1\n");
  expect(documents(output)).toMatchObject([
    { code: 50, details: expect.stringContaining("/dev/net/tun") },
    { code: 7, details: "/mtu must be integer" },
  ]);
}, 60_000);

test("state is found again whatever the environment says", async () => {
  const output = await script(
    `C='{"cniVersion":"1.1.0","name":"net","type":"bucatini"}'
    runtimes=$XDG_RUNTIME_DIR
    for pair in "$runtimes /nowhere" "/nowhere $runtimes"; do
      container
      XDG_RUNTIME_DIR=\${pair% *}
      cni ADD | tail -n 1
      XDG_RUNTIME_DIR=\${pair#* }
      cni DEL
      rest
      kill $T
    done`,
  );
  expect(output).toBe("ADD 0\nDEL 0\nADD 0\nDEL 0\n");
}, 60_000);

test("200 hostile calls of the executable: one document each, with a code of the specification, and no stack", async () => {
  const calls = fc.sample(cniCalls(Object.keys(schema.properties)), 200);
  const output = await cniScript(
    stage(),
    `node ${stage().dir}/cni-many.mjs ${stage().dir}/dist/cni/bucatini`,
    {
      input: JSON.stringify(calls),
    },
  );
  const ends = JSON.parse(output) as { status: number; stdout: string; stderr: string }[];
  for (const [index, { status, stdout, stderr }] of ends.entries()) {
    const document = stdout === "" ? {} : JSON.parse(stdout);
    const { code } = document;
    const how = {
      isCode: status === 0 || code === NO_ENGINE || CODES.includes(code),
      hasStack: /^\s+at /m.test(stderr),
    };
    const answer = { call: calls[index], document, stderr };
    expect({ ...answer, ...how }).toEqual({ ...answer, isCode: true, hasStack: false });
  }
  expect(new Set(ends.map(({ status }) => status))).toEqual(new Set([0, 1]));
}, 120_000);
