/** containerd's own client with the plugin. */
import { expect, test } from "@jest/globals";
import { withContainerd } from "../support/containerd.ts";
import { FAMILIES } from "../support/families.ts";
import { createPayload, startDnsmasq, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

const CONFIG = { cniVersion: "1.0.0", name: "net", plugins: [{ type: "bucatini" }] };
const PRELUDE = `
  calls() { sed 's|/proc/[0-9]*/|/proc/PID/|' $W/calls; }
  run() { ctr run --cni --rootfs --cgroup "" "$@"; }
  F=$W/rootfs
  `;

test("ctr run --cni: the container is connected, and with its end everything goes", async () => {
  const sum = await createPayload(stage(), "payload", 4 * 1024 * 1024);
  await withContainerd(stage(), CONFIG, async ({ net, script }) => {
    await startNginx(net);
    await startDnsmasq(
      net.peer,
      FAMILIES.map((family) => family.peer),
    );
    const fetches = FAMILIES.map(({ peerHost }) => `wget -q -O - http://${peerHost}/payload | sha256sum`);
    const output = await script(
      `${PRELUDE}
      run --rm $F c1 /bin/sh -c 'ip -o address show dev eth0; ${fetches.join("; ")}
        nslookup www.test 169.254.1.1; ping -c 1 -W 5 ${FAMILIES[0]?.peer}'
      calls
      $B list`,
    );
    expect(output).toContain("inet 198.51.100.2/24");
    expect(output).toContain("inet6 2001:db8:1::2/64");
    expect(output.split(sum)).toHaveLength(3);
    expect(output).toContain("192.0.2.7");
    expect(output).toContain("1 packets received");
    expect(output).toContain("ADD default-c1 eth0 /proc/PID/ns/net\nDEL default-c1 eth0 \n");
    expect(output).toMatch(/ID +ENGINE +TARGET +PHASE\n$/);
  });
}, 120_000);

test("ctr run -d --cni: the engine serves until the container ends, however that is", async () => {
  const config = { ...CONFIG, plugins: [{ type: "bucatini", ipv6: false, mtu: 1400 }] };
  await withContainerd(stage(), config, async ({ script }) => {
    const output = await script(
      `${PRELUDE}
        for signal in TERM KILL; do
        run -d $F c2 /bin/sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'
        $B list | tail -n +2
        ctr task exec --exec-id e1 c2 /bin/ip -o link show dev eth0
        ctr task kill -s $signal c2
        until ctr task ls | grep -q STOPPED; do sleep 0.05; done
        ctr task rm c2 2>/dev/null || true
        ctr container rm c2
        for i in $(seq 50); do [ "$($B list | tail -n +2)" ] || break; sleep 0.02; done
        $B list | tail -n +2
      done`,
    );
    expect(output.match(/^default-c2-[0-9a-f]{16} +\d+ +pid \d+ +running$/gm)).toHaveLength(2);
    expect(output.match(/ eth0: .* mtu 1400 /g)).toHaveLength(2);
  });
}, 120_000);

test("a container whose network cannot be made does not start, and the reason is shown", async () => {
  const wrong = { ...CONFIG, plugins: [{ type: "bucatini", mtu: "big" }] };
  await withContainerd(stage(), wrong, async ({ script }) => {
    const output = await script(
      `${PRELUDE}
      run --rm $F c3 /bin/sh -c 'echo started' 2>&1 || echo "status $?"
      calls
      $B list | tail -n +2
      # Left by ctr itself.
      ctr task rm -f c3 || true
      ctr container rm c3`,
    );
    expect(output).toContain("invalid network configuration; /mtu must be integer");
    expect(output).not.toContain("started");
    expect(output).toContain("status 1");
    expect(output).toContain("ADD default-c3 eth0 /proc/PID/ns/net\n");
  });
}, 120_000);
