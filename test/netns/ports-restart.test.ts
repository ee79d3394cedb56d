/** A restart takes over its own ports: never "address already in use", whatever the old engine is still doing. */
import { expect, test } from "@jest/globals";
import { EVERY_ADDRESS } from "../support/crossings.ts";
import { expectNothingLeft, withNamespaces } from "../support/network.ts";
import { prelude } from "../support/prelude.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const ROUNDS = 8;
const PORTS = "-t 7000-7100 -u 7000-7100 -T 7200-7220 -U 7200-7220";

const ENDINGS = [
  { what: "SIGTERM", again: "kill -TERM $(engine web)" },
  { what: "SIGKILL", again: "kill -KILL $(engine web)" },
  { what: "detach", again: "$B detach web" },
  { what: "the end of the container", again: "kill $T; target" },
];

test.each(ENDINGS)(
  "$what, and attached again at once, many times",
  async ({ again }) => {
    await withNamespaces(stage(), {}, async (net) => {
      const output = await net.user.run(
        `${prelude(stage())}
      set -e
      target
      $B attach $T --name web ${PORTS} >/dev/null
      for i in $(seq ${ROUNDS}); do
        ${again}
        $B attach $T --name web ${PORTS}
        [ $(ss -Hlnt 'sport >= :7000 and sport <= :7100' | wc -l) -eq 101 ]
      done
      $B detach web
      kill $T`,
        { seconds: 60 },
      );
      expect(output).toBe("web\n".repeat(ROUNDS));
      await expectNothingLeft(net);
    });
  },
  120_000,
);

test("a namespace is removed and made again under its name", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const output = await net.outside.run(
      `${prelude(stage())}
      set -e
      ip netns add red
      $B attach --netns red --name web ${PORTS} >/dev/null
      for i in $(seq ${ROUNDS}); do
        ip netns delete red
        ip netns add red
        $B attach --netns red --name web ${PORTS}
      done
      $B detach web
      ip netns delete red`,
      { seconds: 60 },
    );
    expect(output).toBe("web\n".repeat(ROUNDS));
    await expectNothingLeft(net);
  });
}, 120_000);

test("with connections open, and others that have just been closed", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const script = `${prelude(stage())}
      set -e
      target
      nsenter -t $T -U --preserve-credentials -n ip link set lo up
      $B attach $T --name web -t 7007:7 >/dev/null
      nsenter -t $T -U --preserve-credentials -n node $TEST/server.mjs ${EVERY_ADDRESS} >$TMPDIR/server &
      SERVER=$!
      trap 'kill $T $SERVER 2>/dev/null || true' EXIT
      until grep -q ready $TMPDIR/server; do sleep 0.02; done
      # An input without an end.
      mkfifo $TMPDIR/input
      exec 9<>$TMPDIR/input
      for i in $(seq 4); do
        for address in 127.0.0.1 198.51.100.2 2001:db8:1::2; do
          node $TEST/client.mjs sequential $address 7007 20
          node $TEST/client.mjs hold $address 7007 20 <&9 >$TMPDIR/held 2>&1 &
          until grep -q holding $TMPDIR/held; do sleep 0.02; done
        done
        kill -TERM $(engine web)
        $B attach $T --name web -t 7007:7
        # The old engine has told the servers inside, too.
        nsenter -t $T -U --preserve-credentials -n ss -Hnt state established
      done
      node $TEST/client.mjs sequential 127.0.0.1 7007 1
      rm $TMPDIR/*
      $B detach web`;
    const output = await net.user.run(script.replaceAll("$TEST", stage().dir), { seconds: 60 });
    const echoes = output.split("\n").filter((line) => line.startsWith("{"));
    expect(new Set(echoes.slice(0, -1))).toEqual(new Set(['{"done":20,"failed":0,"first":""}']));
    expect(echoes).toHaveLength(13);
    const others = output.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
    expect(others).toEqual(["web", "web", "web", "web"]);
    await expectNothingLeft(net);
  });
}, 120_000);
