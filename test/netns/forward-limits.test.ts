/** More clients than the engine may have descriptors for: some are served, the others know at once, and it passes. */
import { expect, test } from "@jest/globals";
import { EVERY_ADDRESS } from "../support/crossings.ts";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces } from "../support/network.ts";
import { prelude } from "../support/prelude.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const FILES = 300;
const CLIENTS = 600;

const CASES = FAMILIES.flatMap(({ loopback, outside }) => [
  { name: "by the bypass", to: loopback },
  { name: "over the TAP", to: outside },
]);

test.each(CASES)(
  "$name, $to",
  async ({ to }) => {
    await withNamespaces(stage(), {}, async (net) => {
      const script = `${prelude(stage())}
      set -e
      target
      N="nsenter -t $T -U --preserve-credentials -n"
      (ulimit -n ${FILES}; $B attach $T --name web -t 7007:7 >/dev/null)
      P=$(engine web)
      cpu() { cat /proc/$P/task/*/schedstat | awk '{ sum += $1 } END { print int(sum / 1000000) }'; }
      $N node $TEST/server.mjs ${EVERY_ADDRESS} >$TMPDIR/server &
      S=$!
      trap 'kill $T $S 2>/dev/null || true' EXIT
      until grep -q ready $TMPDIR/server; do sleep 0.02; done
      sleep 4 | node $TEST/client.mjs crowd ${to} 7007 ${CLIENTS} >$TMPDIR/crowd &
      sleep 2
      BEFORE=$(cpu); sleep 1; echo "spent: $(($(cpu) - BEFORE))"
      wait $!
      cat $TMPDIR/crowd
      until $B status web | grep -q '^  total: 0'; do sleep 0.1; done
      node $TEST/client.mjs parallel ${to} 7007 60
      $B detach web
      rm $TMPDIR/*`;
      const output = await net.user.run(script.replaceAll("$TEST", stage().dir));
      const [spent, crowd, after] = output.trim().split("\n");
      // Milliseconds of a second in which nothing happens.
      expect(Number(spent?.split(" ")[1])).toBeLessThan(50);
      const { served, failed } = JSON.parse(crowd ?? "") as { served: number; failed: number };
      expect(served).toBeGreaterThan(FILES / 6);
      expect(served + failed).toBe(CLIENTS);
      expect(JSON.parse(after ?? "")).toEqual({ done: 60, failed: 0, first: "" });
      await expectNothingLeft(net);
    });
  },
  60_000,
);
