/** The CNI plugin among others, called as libcni does: IPAM plugins of Debian, chains, and the verbs about networks. */
import { expect, test } from "@jest/globals";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cniScript, documents, list, type Prepare, words } from "../support/cni.ts";
import { FAMILIES } from "../support/families.ts";
import { startLittleServers } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const PEERS = FAMILIES.map(({ peer }) => peer);

const HOST_LOCAL = {
  type: "host-local",
  dataDir: "/run/tmp/ipam",
  ranges: [[{ subnet: "10.22.0.0/16" }], [{ subnet: "2001:db8:22::/64" }]],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
};
/** Leases that host-local has given out. */
const LEASES = "leases() { ls /run/tmp/ipam/net | grep -v 'l[ao][sc][tk]' || true; }";

const script = (text: string, prepare?: Prepare): Promise<string> =>
  cniScript(stage(), `${LEASES}\n${text}\nrm -rf /run/tmp/ipam`, prepare === undefined ? {} : { prepare });

/** An IPAM plugin for what Debian's do not have: it speaks 1.1.0, tells what it is asked, and can be slow. */
function stageIpam(): void {
  const text = `#!/bin/sh
    echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >> /run/tmp/ipam-calls
    config=$(cat)
    case "$CNI_COMMAND$config" in
      ADD*slow*) exec sleep 60 ;;
      ADD*wrong*) echo '{"ips":[{"address":"10.24.0.5"}]}'; exit ;;
      STATUS*full*) echo '{"code":51,"msg":"no more addresses","details":"10.24.0.0/16 is used up"}'; exit 1 ;;
      ADD*silent*) exit 3 ;;
      *older*) echo '{"code":1,"msg":"incompatible CNI versions"}'; exit 1 ;;
    esac
    [ $CNI_COMMAND != ADD ] || echo '{"cniVersion":"1.1.0","ips":[{"address":"10.24.0.5/16","gateway":"10.24.0.1"}],
      "routes":[{"dst":"10.0.0.9/8","mtu":1300,"priority":7},{"dst":"0.0.0.0/0","gw":"10.24.0.2"}]}'
  `;
  mkdirSync(join(stage().dir, "plugins"), { recursive: true });
  writeFileSync(join(stage().dir, "plugins/ipam-told"), text, { mode: 0o755 });
}

test("host-local gives the addresses, which work both ways, and gets them back", async () => {
  const output = await script(
    `${list({ ipam: HOST_LOCAL, capabilities: { portMappings: true } })}
    container
    runtime add CAPABILITIES='{"portMappings":[{"HostPort":8080,"ContainerPort":80,"Protocol":"TCP"}]}'
    leases
    runtime check
    for peer in ${FAMILIES.map(({ peerHost }) => peerHost).join(" ")}; do
      echo hello | inside socat -t 5 - TCP:$peer:7
    done
    $INSIDE socat -u TCP6-LISTEN:80,ipv6only=0,fork SYSTEM:'echo published' & S=$!
    until inside ss -Hltn 'sport = :80' | grep -q .; do sleep 0.02; done
    for address in 198.51.100.2 '[2001:db8:1::2]'; do
      nsenter --net=/run/netns/peer socat -u TCP:$address:8080 -
    done
    kill $S
    runtime del
    leases
    runtime del
    runtime del CNI_NETNS=
    kill $T`,
    (net) => startLittleServers(net.peer),
  );
  expect(documents(output)).toEqual([
    {
      cniVersion: "1.0.0",
      interfaces: [{ name: "eth0", mac: expect.any(String), sandbox: expect.stringMatching(/^\/proc/) }],
      ips: [
        { address: "10.22.0.2/16", gateway: "10.22.0.1", interface: 0 },
        { address: "2001:db8:22::2/64", gateway: "2001:db8:22::1", interface: 0 },
      ],
      routes: [
        { dst: "0.0.0.0/0", gw: "10.22.0.1" },
        { dst: "::/0", gw: "2001:db8:22::1" },
      ],
      dns: { nameservers: ["169.254.1.1"] },
    },
  ]);
  expect(words(output)).toBe(
    "add 0\n10.22.0.2\n2001:db8:22::2\ncheck 0\nhello\nhello\npublished\npublished\ndel 0\ndel 0\ndel 0\n",
  );
}, 60_000);

test("an ADD that fails behind IPAM gives the addresses back, and one that is not the first asks for none", async () => {
  const ports = `CAPABILITIES='{"portMappings":[{"hostPort":8080,"containerPort":80}]}'`;
  const output = await script(
    `${list({ ipam: HOST_LOCAL, capabilities: { portMappings: true } })}
    container
    runtime add ${ports}
    runtime add ${ports}
    leases
    FIRST=$T
    container
    runtime add ${ports}
    leases
    kill $T
    T=$FIRST ID=c$FIRST
    runtime del
    leases
    kill $T`,
  );
  expect(words(output).replaceAll(/failed: bucatini add: (\d+) .*/g, "$1")).toBe(
    "add 0\n108\nadd 1\n10.22.0.2\n2001:db8:22::2\n114\nadd 1\n10.22.0.2\n2001:db8:22::2\ndel 0\n",
  );
}, 60_000);

test("static gives what the network and CNI_ARGS ask for", async () => {
  const ipam = {
    type: "static",
    routes: [{ dst: "10.0.0.0/8", gw: "10.23.0.7" }],
    dns: { search: ["test"] },
  };
  const output = await script(
    `${list({ ipam, capabilities: { ips: true } }, { cniVersion: "0.3.1" })}
    container
    runtime add CNI_ARGS='K8S_POD_NAME=p;IP=10.23.0.9/24;IgnoreUnknown=1'
    inside ip route
    runtime del
    runtime add CAPABILITIES='{"ips":["10.23.0.8/24"]}'
    runtime del
    runtime add CNI_PATH=/nowhere:${stage().dir}/dist/cni
    kill $T`,
  );
  const [byArgs, byCapability] = documents(output);
  expect(byArgs).toMatchObject({
    ips: [{ version: "4", address: "10.23.0.9/24", interface: 0 }],
    routes: [{ dst: "10.0.0.0/8", gw: "10.23.0.7" }, { dst: "169.254.1.1/32" }],
    dns: { nameservers: ["169.254.1.1"], search: ["test"] },
  });
  expect(byCapability.ips).toMatchObject([{ address: "10.23.0.8/24" }]);
  expect(words(output)).toContain("10.0.0.0/8 via 10.23.0.7 dev eth0");
  expect(words(output)).toContain("/ipam/type is static: there is no such plugin in /nowhere:");
}, 60_000);

test("what an IPAM plugin gives comes out inside; its failures are told, and undone", async () => {
  stageIpam();
  const output = await script(
    `${list({ ipam: { type: "ipam-told" } }, { cniVersion: "1.1.0" })}
    container
    runtime add
    inside ip route
    inside ip -6 address show dev eth0
    runtime status
    runtime gc VALID=$ID/eth0
    runtime del
    for way in wrong silent older; do
      ${list({ ipam: { type: "ipam-told", way: "WAY" } }, { cniVersion: "1.1.0" })}
      L=$(echo "$L" | sed s/WAY/$way/)
      runtime add
    done
    ${list({ ipam: { type: "ipam-told", way: "full" } }, { cniVersion: "1.1.0" })}
    runtime status
    rest
    sed "s/ c[0-9]*/ ID/" /run/tmp/ipam-calls
    rm /run/tmp/ipam-calls
    kill $T`,
  );
  expect(documents(output)[0]).toMatchObject({
    ips: [{ address: "10.24.0.5/16", gateway: "10.24.0.1" }],
    routes: [
      { dst: "10.0.0.0/8", gw: "10.24.0.1", mtu: 1300, priority: 7 },
      { dst: "0.0.0.0/0", gw: "10.24.0.2" },
    ],
  });
  expect(words(output)).toBe(
    `add 0
default via 10.24.0.2 dev eth0 proto 98${" "}
10.0.0.0/8 via 10.24.0.1 dev eth0 proto 98 metric 7 mtu 1300${" "}
10.24.0.0/16 dev eth0 proto kernel scope link src 10.24.0.5${" "}
status 0
gc 0
del 0
failed: bucatini add: 6 cannot decode the result of the IPAM plugin ipam-told; /ips/0/address is 10.24.0.5: not an address with a prefix length, such as 192.0.2.1/24
add 1
failed: bucatini add: 5 the IPAM plugin ipam-told failed (ADD); it ended with status 3 and said:${" "}
add 1
failed: bucatini add: 1 the IPAM plugin ipam-told failed (ADD): incompatible CNI versions
add 1
failed: bucatini status: 51 the IPAM plugin ipam-told failed (STATUS): no more addresses; 10.24.0.0/16 is used up
status 1
ADD ID eth0
STATUS ID eth0
GC ID eth0
DEL ID eth0
ADD ID eth0
DEL ID eth0
ADD ID eth0
DEL ID eth0
ADD ID eth0
DEL ID eth0
STATUS ID eth0
`,
  );
}, 60_000);

test("an ADD that is ended while IPAM takes its time gives the addresses back", async () => {
  stageIpam();
  const output = await script(
    `C='${JSON.stringify({ cniVersion: "1.1.0", name: "net", type: "bucatini", ipam: { type: "ipam-told", slow: 1 } })}'
    container
    echo "$C" > $TMPDIR/config
    env -i CNI_COMMAND=ADD CNI_CONTAINERID=$ID CNI_NETNS=$NETNS CNI_IFNAME=eth0 CNI_PATH=${stage().dir}/plugins \\
      PATH=/usr/bin:/bin $P < $TMPDIR/config & A=$!
    until [ -e $TMPDIR/ipam-calls ]; do sleep 0.02; done
    kill $A
    wait $A || echo "ended $?"
    rest
    cut -d ' ' -f 1 $TMPDIR/ipam-calls
    rm $TMPDIR/config $TMPDIR/ipam-calls
    kill $T`,
  );
  // The runtime that ended it does not read this any more.
  expect(words(output)).toBe("ended 143\nADD\nDEL\n");
}, 60_000);

test("two ADDs of one attachment at once: one connects it, the other says so", async () => {
  const output = await script(
    `${list({ ipam: HOST_LOCAL })}
    container
    for i in 1 2; do runtime add CACHE=/run/tmp/cache > $TMPDIR/out$i 2>&1 & eval A$i=$!; done
    wait $A1 $A2
    cat $TMPDIR/out1 $TMPDIR/out2 | grep '^add' | sort
    leases | wc -l
    $B list | tail -n +2 | wc -l
    echo hello | inside socat -t 5 - TCP:${PEERS[0]}:7
    runtime del
    leases
    rm $TMPDIR/out1 $TMPDIR/out2
    kill $T`,
    (net) => startLittleServers(net.peer),
  );
  expect(output).toBe("add 0\nadd 1\n2\n1\nhello\ndel 0\n");
}, 60_000);

test("ten containers at once, each with addresses of its own", async () => {
  const output = await script(
    `${list({ ipam: HOST_LOCAL })}
    for i in $(seq 10); do container; echo $T; done > $TMPDIR/all
    each() {
      jobs=
      for T in $(cat $TMPDIR/all); do (ID=c$T; NETNS=/proc/$T/ns/net; runtime $1 | tail -n 1) & jobs="$jobs $!"; done
      wait $jobs
    }
    each add
    for T in $(cat $TMPDIR/all); do inside ip -4 -o address show dev eth0 | awk '{ print $4 }'; done | sort -u | wc -l
    each del
    rest
    leases
    kill $(cat $TMPDIR/all)
    rm $TMPDIR/all`,
  );
  expect(output).toBe(`${"add 0\n".repeat(10)}10\n${"del 0\n".repeat(10)}`);
}, 120_000);

test("one container in two networks, by two interfaces", async () => {
  const second = { ...HOST_LOCAL, ranges: [[{ subnet: "10.25.0.0/16" }]], routes: [{ dst: "10.0.0.0/8" }] };
  const output = await script(
    `container
    ${list({})}
    runtime add
    ${list({ ipam: second })}
    runtime add CNI_IFNAME=eth1
    inside ip -4 -br address
    $B list | tail -n +2 | wc -l
    for interface in eth0 eth1; do
      echo hello | inside socat -t 5 - TCP:${PEERS[0]}:7,so-bindtodevice=$interface
    done
    runtime del CNI_IFNAME=eth1
    ${list({})}
    runtime check
    runtime del
    kill $T`,
    async (net) => startLittleServers(net.peer),
  );
  expect(words(output).replaceAll(/ +/g, " ")).toBe(
    "add 0\nadd 0\nlo UNKNOWN 127.0.0.1/8 \neth0 UNKNOWN 198.51.100.2/24 \neth1 UNKNOWN 10.25.0.2/16 \n2\n" +
      "hello\nhello\ndel 0\ncheck 0\ndel 0\n",
  );
}, 60_000);

test("tuning behind us changes MAC address and MTU, and the container goes on", async () => {
  const plugins = [
    { type: "bucatini", capabilities: { portMappings: true } },
    { type: "tuning", mac: "02:00:00:00:00:77", mtu: 1300, sysctl: { "net.core.somaxconn": "500" } },
    { type: "firewall" },
  ];
  const output = await script(
    `L='${JSON.stringify({ cniVersion: "0.4.0", name: "net", plugins })}'
    container
    runtime add CAPABILITIES='{"portMappings":[{"hostPort":8080,"containerPort":80}]}'
    $INSIDE socat -u TCP-LISTEN:80,fork SYSTEM:'echo published' & S=$!
    until inside ss -Hltn 'sport = :80' | grep -q .; do sleep 0.02; done
    nsenter --net=/run/netns/peer socat -u TCP:198.51.100.2:8080 -
    inside ip -o link show dev eth0 | grep -o 'mtu 1300\\|02:00:00:00:00:77'
    runtime check
    runtime del
    kill $S $T`,
  );
  expect(documents(output)[0].interfaces).toMatchObject([{ name: "eth0", mac: "02:00:00:00:00:77" }]);
  expect(words(output)).toBe("add 0\npublished\nmtu 1300\n02:00:00:00:00:77\ncheck 0\ndel 0\n");
}, 60_000);
