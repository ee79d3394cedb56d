/** The drop-in for pasta in scripts. */
import { expectNothingLeft, withNamespaces, type Network } from "./network.ts";
import { GONE } from "./prelude.ts";
import type { Space } from "./space.ts";
import type { Stage } from "./stage.ts";

export const NO_PORTS = "-t none -u none -T none -U none";

/**
 * Shell functions. `P` is the drop-in and `B` the command line; `netns NAME` makes a namespace below /run/netns, `forget
 * NAME` unmounts and removes it; `inside NAME` runs a command in it; `target` starts a process in a namespace of its own,
 * whose number is T; `gone PID` waits for the end of a process.
 */
export const pastaPrelude = (stage: Stage): string => `
  P=${stage.dir}/dist/bin/pasta
  B=${stage.bucatini}
  C="node ${stage.dir}/pasta-caller.mjs"
  T=
  trap '[ -z "$T" ] || kill $T 2>/dev/null || true' EXIT
  netns() { ip netns add $1; }
  forget() { ip netns delete $1; }
  inside() { name=$1; shift; nsenter --net=/run/netns/$name "$@"; }
  target() { unshare "$@" sleep 1000 >/dev/null 2>&1 & T=$!; until [ "$(readlink /proc/$T/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done; }
  engine() { $B status --json "$@" | sed -n 's/^  "pid": \\([0-9]*\\),/\\1/p'; }
${GONE}
  says() { "$@" 2>&1 && echo "status 0" || echo "status $?"; }
  `;

/** Runs a script in namespaces of its own and checks that nothing is left of what it started. */
export async function pastaScript(
  stage: Stage,
  text: string,
  where: (net: Network) => Space = (net) => net.outside,
): Promise<string> {
  let output = "";
  await withNamespaces(stage, {}, async (net) => {
    output = await where(net).run(`${pastaPrelude(stage)}\nset -e\n${text}`, { seconds: 60 });
    await expectNothingLeft(net);
  });
  return output;
}
