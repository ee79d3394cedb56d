/** Many containers at the same time, as a runtime starts them after the machine has booted. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces } from "../support/network.ts";
import { createPayload, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const COUNT = 50;
/** Of the engines together, which have served little. */
const MAX_ANONYMOUS_KIB = COUNT * 16 * 1024;

/** `each VERB` calls the plugin for all containers at once; container N has the published port 9000 + N. */
const SCRIPT = `set -e
  cd $TMPDIR
  for i in $(seq ${COUNT}); do
    unshare -Urn sleep 1000 & echo $! >> pids
  done
  for T in $(cat pids); do
    until [ "$(readlink /proc/$T/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
  done
  all() {
    jobs= i=0
    for T in $(cat pids); do i=$((i + 1)); "$@" & jobs="$jobs $!"; done
    wait $jobs
  }
  call() {
    PORTS='[{"hostPort":'$((9000 + i))',"containerPort":80,"protocol":"tcp"}]'
    echo '{"cniVersion":"1.0.0","name":"net","type":"bucatini","runtimeConfig":{"portMappings":'$PORTS'}}' |
      env -i XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR CNI_COMMAND=$1 CNI_CONTAINERID=c$T CNI_NETNS=/proc/$T/ns/net \\
        CNI_IFNAME=eth0 $PLUGIN > result.$T || echo "$1 failed: $(cat result.$T)"
  }
  fetch() {
    for host in ${FAMILIES.map(({ peerHost }) => peerHost).join(" ")}; do
      nsenter -t $T -U --preserve-credentials -n curl -sS -m 20 http://$host/payload | sha256sum
    done
  }
  for round in 1 2; do
    all call ADD
    echo "engines $($B list | tail -n +2 | wc -l)"
    echo "ports $(ss -Hlnt 'sport >= :9001 and sport <= :${9000 + COUNT}' | wc -l)"
    echo "memory $(for E in $($B list --json | grep '"pid"' | grep -o '[0-9]*'); do
      grep ^Pss_Anon /proc/$E/smaps_rollup 2>/dev/null || true; done | awk '{ sum += $2 } END { print sum }')"
    all fetch | sort | uniq -c
    all call DEL
    echo "engines $($B list | tail -n +2 | wc -l)"
    echo "ports $(ss -Hlnt 'sport >= :9001 and sport <= :${9000 + COUNT}' | wc -l)"
  done
  kill $(cat pids)
  rm pids result.*`;

test(`${COUNT} containers come and go at the same time, twice`, async () => {
  const sum = await createPayload(stage(), "payload", 256 * 1024);
  await withNamespaces(stage(), {}, async (net) => {
    await startNginx(net);
    const words = `B=${stage().bucatini} PLUGIN=${stage().dir}/dist/cni/bucatini`;
    const output = await net.user.run(`${words}\n${SCRIPT}`, { seconds: 120 });
    const round = [
      `engines ${COUNT}`,
      `ports ${COUNT}`,
      "memory within the limit",
      `${2 * COUNT} ${sum}`,
      "engines 0",
      "ports 0",
    ];
    const told = output.trim().replaceAll(/^memory (\d+)$/gm, (line, size: string) => {
      const isBounded = Number(size) > 0 && Number(size) < MAX_ANONYMOUS_KIB;
      return isBounded ? "memory within the limit" : line;
    });
    expect(told.split("\n").map((line) => line.trim())).toEqual([...round, ...round]);
    await expectNothingLeft(net);
  });
}, 180_000);
