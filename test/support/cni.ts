/** What scripts that call CNI plugins have in common. */
import { expectNothingLeft, withNamespaces, type Network } from "./network.ts";
import type { Stage } from "./stage.ts";

/**
 * Shell functions. `container` makes a network namespace, whose process is T; `inside` runs a command in it,
 * and so do the words of INSIDE. `cni VERB
 * [VAR=VALUE...]` calls the plugin P with the configuration C, with next to nothing in its environment, and says how it
 * ended. `runtime VERB [VAR=VALUE...]` calls all plugins of the list L as libcni does (programs/cni-caller.ts). `rest`
 * prints what there is of the product, without waiting for anything.
 */
export const cniPrelude = (stage: Stage): string => `
  P=${stage.dir}/dist/cni/bucatini
  B=${stage.bucatini}
  container() {
    unshare -Urn sleep 1000 & T=$!
    until [ "$(readlink /proc/$T/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
    ID=c$T
    NETNS=/proc/$T/ns/net
    INSIDE="nsenter -t $T -U --preserve-credentials -n"
  }
  cni() {
    verb=$1; shift
    echo "$C" | env -i \${XDG_RUNTIME_DIR:+XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR} CNI_COMMAND=$verb \\
      CNI_CONTAINERID=$ID CNI_NETNS=$NETNS CNI_IFNAME=eth0 "$@" $P && echo "$verb 0" || echo "$verb $?"
  }
  runtime() {
    verb=$1; shift
    echo "$L" | env CNI_PATH=${stage.dir}/dist/cni:${stage.dir}/plugins:/usr/lib/cni CNI_CONTAINERID=$ID \\
      CNI_NETNS=$NETNS CNI_IFNAME=eth0 CNI_ARGS= CACHE=/run/tmp/cache "$@" \\
      node ${stage.dir}/cni-caller.mjs $verb && echo "$verb 0" || echo "$verb $?"
  }
  inside() { nsenter -t $T -U --preserve-credentials -n "$@"; }
  rest() { ps -e -o args= | grep '^bucatini-engine' || true; $B list | tail -n +2; }
  `;

/** The lines of JSON in what was printed. */
export const documents = (output: string) =>
  output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));

/** What was printed, without documents. */
export const words = (output: string): string => output.replaceAll(/^\{.*\n/gm, "");

/** Shell words that make a list with one plugin, ours, of L. @param more version and name of the list, or all plugins */
export const list = (plugin: Record<string, unknown>, more: Record<string, unknown> = {}): string =>
  `L='${JSON.stringify({ cniVersion: "1.0.0", name: "net", plugins: [{ type: "bucatini", ...plugin }], ...more })}'`;

/** What is done before a script runs. */
export type Prepare = (net: Network) => Promise<unknown>;

/** Runs a script as uid 0 of a user namespace, with `input` on its standard input, and checks that nothing is left of what it started. */
export async function cniScript(
  stage: Stage,
  text: string,
  { prepare, input = "" }: { prepare?: Prepare; input?: string } = {},
): Promise<string> {
  let output = "";
  await withNamespaces(stage, {}, async (net) => {
    await prepare?.(net);
    output = await net.outside.run(`${cniPrelude(stage)}\nset -e\n${text}\nrm -rf /run/tmp/cache`, {
      seconds: 60,
      input,
    });
    await expectNothingLeft(net);
  });
  return output;
}
