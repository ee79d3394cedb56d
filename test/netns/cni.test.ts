/** The CNI plugin as a runtime calls it: the built executable, variables and stdin, nothing else in the environment. */
import { describe, expect, test } from "@jest/globals";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { cniPrelude, documents } from "../support/cni.ts";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces, type Network, type NetworkOptions } from "../support/network.ts";
import { createPayload, startDnsmasq, startNginx } from "../support/servers.ts";
import type { Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

const PEER = FAMILIES[0]?.peer ?? "";
const CONFIG = { cniVersion: "1.1.0", name: "net", type: "bucatini" };

const prelude = (): string => `${cniPrelude(stage())}
  C='${JSON.stringify(CONFIG)}'
  `;

interface User {
  who: string;
  options: NetworkOptions;
  where: (net: Network) => Space;
}

const USERS: User[] = [
  { who: "an ordinary user", options: {}, where: (net) => net.user },
  { who: "uid 0 of a user namespace", options: {}, where: (net) => net.outside },
];
if (process.geteuid?.() === 0) {
  USERS.push({ who: "root", options: { asRoot: true }, where: (net) => net.outside });
}

/** Runs a script in namespaces of its own and checks that nothing is left of what it started. */
async function script({ options, where }: User, text: string): Promise<string> {
  let output = "";
  await withNamespaces(stage(), options, async (net) => {
    output = await where(net).run(`${prelude()}\nset -e\n${text}`, { seconds: 60 });
    await expectNothingLeft(net);
  });
  return output;
}

describe.each(USERS)("as $who", (user) => {
  test("ADD publishes ports, DEL frees them, and a port that is taken is named", async () => {
    const mappings = [
      { hostPort: 8099, containerPort: 80, protocol: "tcp" },
      { HostPort: 8098, ContainerPort: 80, HostIP: "127.0.0.1" },
    ];
    const config = JSON.stringify({ ...CONFIG, runtimeConfig: { portMappings: mappings } });
    const output = await script(
      user,
      `container
      nsenter -t $T -U --preserve-credentials -n busybox httpd -f -p 80 -h ${stage().dir}/dist & H=$!
      C='${config}'
      cni ADD | tail -1
      ask() { curl -s -m 5 -o /dev/null -w '%{http_code}\\n' "http://$1/package.json" || true; }
      ask 127.0.0.1:8099
      ask '[::1]:8099'
      ask 127.0.0.1:8098
      FIRST=$T
      container
      cni ADD
      kill $T
      T=$FIRST ID=c$FIRST NETNS=/proc/$FIRST/ns/net
      cni DEL
      ask 127.0.0.1:8099
      rest
      kill $H $T`,
    );
    const words = output.split("\n").filter((line) => /^(ADD|DEL|\d)/.test(line));
    expect(words).toEqual(["ADD 0", "200", "200", "200", "ADD 1", "DEL 0", "000"]);
    expect(documents(output)).toMatchObject([{ code: 114, msg: expect.stringContaining("port 8099") }]);
  });

  test("ADD connects a container and prints what it has; DEL returns when nothing is left", async () => {
    const output = await script(
      user,
      `container
      cni ADD
      inside ip -j address show dev eth0 | sed 's/^/{"inside":/; s/$/}/'
      cni DEL
      rest
      inside ip -o link | grep -v ': lo:' || echo "no interface"
      cni DEL
      kill $T`,
    );
    const [result, { inside }] = documents(output);
    expect(result).toEqual({
      cniVersion: "1.1.0",
      interfaces: [
        {
          name: "eth0",
          mac: inside[0].address,
          sandbox: expect.stringMatching(/^\/proc\/\d+\/ns\/net$/),
          mtu: 1500,
        },
      ],
      ips: [
        { address: "198.51.100.2/24", gateway: "198.51.100.1", interface: 0 },
        { address: "2001:db8:1::2/64", gateway: "2001:db8:1::1", interface: 0 },
      ],
      routes: expect.arrayContaining([
        { dst: "0.0.0.0/0", gw: "198.51.100.1" },
        { dst: "::/0", gw: "2001:db8:1::1" },
      ]),
      dns: { nameservers: ["169.254.1.1"] },
    });
    expect(inside[0]).toMatchObject({ ifname: "eth0", mtu: 1500 });
    const text = output.replaceAll(/^\{.*\n/gm, "");
    expect(text).toBe("ADD 0\nDEL 0\nno interface\nDEL 0\n");
  }, 60_000);

  test("the container then reaches the peer over both families, and names", async () => {
    const sum = await createPayload(stage(), "payload", 8 * 1024 * 1024);
    await withNamespaces(stage(), user.options, async (net) => {
      await startNginx(net);
      await startDnsmasq(
        net.peer,
        FAMILIES.map((family) => family.peer),
      );
      const output = await user.where(net).run(
        `${prelude()}
        set -e
        container
        cni ADD
        for url in ${FAMILIES.map((family) => `http://${family.peerHost}/payload`).join(" ")}; do
          inside curl -sS --max-time 20 $url | sha256sum
        done
        inside dig +short +timeout=5 @169.254.1.1 www.test A
        inside dig +short +timeout=5 @169.254.1.1 www.test AAAA
        cni DEL
        inside curl -sS --max-time 5 http://${PEER}/payload 2>/dev/null || echo "disconnected"
        cni ADD >/dev/null
        inside curl -sS --max-time 20 http://${PEER}/payload | sha256sum
        cni DEL
        kill $T`,
        { seconds: 60 },
      );
      expect(output.replaceAll(/^\{.*\n/gm, "")).toBe(
        `ADD 0\n${sum}\n${sum}\n192.0.2.7\n2001:db8::7\nDEL 0\ndisconnected\n${sum}\nDEL 0\n`,
      );
      await expectNothingLeft(net);
    });
  }, 120_000);

  test("a second ADD is an error and leaves the first in peace", async () => {
    const output = await script(
      user,
      `container
      cni ADD
      cni ADD
      cni ADD CNI_CONTAINERID=other
      inside ip -br address show dev eth0 | awk '{ print $1, $3 }'
      $B list | wc -l
      cni DEL CNI_CONTAINERID=other
      $B list | wc -l
      cni DEL
      rest
      kill $T`,
    );
    const [, second, other] = documents(output);
    for (const error of [second, other]) {
      expect(error).toMatchObject({ cniVersion: "1.1.0", code: 108 });
      expect(error.msg).toContain("is already served by the engine");
    }
    expect(output.replaceAll(/^\{.*\n/gm, "")).toBe(
      "ADD 0\nADD 1\nADD 1\neth0 198.51.100.2/24\n2\nDEL 0\n2\nDEL 0\n",
    );
  }, 60_000);

  test("DEL knows the attachment without the namespace, and nothing to end is a success", async () => {
    const output = await script(
      user,
      `container
      cni DEL
      cni ADD >/dev/null
      cni DEL CNI_IFNAME=eth1
      $B list | wc -l
      C='{"cniVersion":"1.0.0","mtu":"changed meanwhile"}' cni DEL CNI_NETNS=
      rest
      cni DEL CNI_NETNS=/run/netns/never
      cni ADD >/dev/null
      kill $T
      cni DEL
      rest`,
    );
    expect(output).toBe("DEL 0\nDEL 0\n2\nDEL 0\nDEL 0\nDEL 0\n");
  }, 60_000);

  test("an ADD that fails says why and leaves nothing", async () => {
    const output = await script(
      user,
      `container
      cni ADD CNI_NETNS=/run/netns/never
      cni ADD CNI_NETNS=/proc/4194000/ns/net
      cni ADD CNI_NETNS=/etc/passwd
      cni ADD CNI_NETNS=/proc/self/ns/net
      cni ADD CNI_NETNS=
      cni ADD CNI_IFNAME=lo
      C='{"cniVersion":"0.5.0","name":"net","type":"bucatini"}' cni ADD
      C='{"cniVersion":"1.1.0","name":"net","type":"bucatini","mtu":5}' cni ADD
      C='{"cniVersion":"1.1.0","name":"net","type":"bucatini","interface":"eth7","follow":false}' cni ADD
      C='{"cniVersion":"1.1.0","name":"net","type":"bucatini","ipam":{"type":"static"}}' cni ADD
      C='{"cniVersion":"1.1.0"' cni ADD
      rest
      inside ip -o link | wc -l
      kill $T`,
    );
    expect(documents(output).map(({ code }) => code)).toEqual([3, 3, 3, 4, 4, 105, 1, 7, 7, 4, 6]);
    expect(output.replaceAll(/^\{.*\n/gm, "")).toBe(`${"ADD 1\n".repeat(11)}1\n`);
  }, 60_000);

  test("an interface that is there already is not taken over", async () => {
    const output = await script(
      user,
      `container
      inside ip tuntap add eth0 mode tap
      cni ADD
      rest
      inside ip -o link show dev eth0 | grep -c ' state DOWN '
      inside ip link delete eth0
      kill $T`,
    );
    expect(documents(output)).toEqual([
      { cniVersion: "1.1.0", code: 105, msg: expect.stringContaining("an interface of this name exists") },
    ]);
    expect(output).toMatch(/^ADD 1\n1\n$/m);
  }, 60_000);

  test("an ADD that is killed leaves nothing that the next DEL does not end", async () => {
    const output = await script(
      user,
      `for delay in 0.05 0.1 0.15 0.2 0.25 0.3 0.4; do
        container
        echo "$C" > $TMPDIR/config
        env -i \${XDG_RUNTIME_DIR:+XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR} CNI_COMMAND=ADD CNI_CONTAINERID=$ID CNI_NETNS=$NETNS \\
          CNI_IFNAME=eth0 $P < $TMPDIR/config >/dev/null & A=$!
        sleep $delay
        kill -KILL $A 2>/dev/null || true
        wait $A || true
        cni DEL
        $B list | tail -n +2
        kill $T
      done
      rm $TMPDIR/config`,
    );
    expect(output).toBe("DEL 0\n".repeat(7));
  }, 120_000);

  test("the engine ends by itself when the runtime forgets DEL", async () => {
    expect(await script(user, "container; cni ADD; kill $T")).toContain("ADD 0");
  }, 60_000);

  test("containers come and go at the same time", async () => {
    const output = await script(
      user,
      `for i in 1 2 3 4 5 6; do container; echo $T; done > $TMPDIR/all
      each() {
        jobs=
        for T in $(cat $TMPDIR/all); do (ID=c$T; NETNS=/proc/$T/ns/net; cni $1 | tail -n 1) & jobs="$jobs $!"; done
        wait $jobs
      }
      each ADD
      $B list | wc -l
      each DEL
      rest
      kill $(cat $TMPDIR/all)
      rm $TMPDIR/all`,
    );
    expect(output).toBe(`${"ADD 0\n".repeat(6)}7\n${"DEL 0\n".repeat(6)}`);
  }, 120_000);
});

test("an ADD that is ended opens no ports any more", async () => {
  const mappings = [{ hostPort: 8099, containerPort: 80 }];
  const config = JSON.stringify({ ...CONFIG, runtimeConfig: { portMappings: mappings } });
  const output = await script(
    { who: "", options: {}, where: (net) => net.outside },
    `container
    C='${config}'
    for delay in $(seq 0.08 0.004 0.18); do
      echo "$C" | env -i XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR CNI_COMMAND=ADD CNI_CONTAINERID=$ID CNI_NETNS=$NETNS \
        CNI_IFNAME=eth0 $P > /run/tmp/result & sleep $delay
      # The last in the pipe is the plugin.
      kill $! 2>/dev/null || true
      if wait $!; then cni DEL; continue; fi
      for i in $(seq 20); do ss -Hlnt 'sport = :8099'; done
    done
    rm /run/tmp/result
    kill $T`,
  );
  expect(output.replaceAll("DEL 0\n", "")).toBe("");
}, 60_000);

test("a configuration with everything in it comes out inside", async () => {
  const config = {
    ...CONFIG,
    cniVersion: "1.0.0",
    addresses: ["10.1.0.5/16", "2001:db8:7::5/64"],
    gateways: ["10.1.0.1", "2001:db8:7::1"],
    mtu: 1400,
    mac: "02:00:00:00:00:0a",
    interface: "eth0",
    mapGateway: false,
    mapHostLoopback: ["10.1.0.2"],
    mapGuestAddr: "none",
    dnsForward: ["10.1.0.53"],
    dnsHost: [PEER],
    outbound: ["198.51.100.2"],
    outboundInterface: "eth0",
    offload: false,
    flows: 1024,
    logLevel: "debug",
    dns: { nameservers: ["10.1.0.53"], search: ["test"] },
  };
  await withNamespaces(stage(), {}, async (net) => {
    await startDnsmasq(net.peer, [PEER]);
    await net.outside.start("socat TCP-LISTEN:8080,bind=127.0.0.1,fork,reuseaddr SYSTEM:'echo loopback'", {
      port: 8080,
    });
    const output = await net.outside.run(
      `${prelude()}
      set -e
      C='${JSON.stringify({ ...config, logFile: "/run/tmp/engine.log" })}'
      container
      cni ADD CNI_IFNAME=wan0
      inside ip -o link show dev wan0 | grep -o 'mtu 1400\\|link/ether [0-9a-f:]*'
      inside ip -br address show dev wan0 | grep -c '10.1.0.5/16 2001:db8:7::5/64'
      inside ip route show default
      inside dig +short +timeout=5 @10.1.0.53 www.test A
      inside socat -u TCP:10.1.0.2:8080 -
      cni DEL CNI_IFNAME=wan0
      grep -c '"level":"debug"' /run/tmp/engine.log >/dev/null && rm /run/tmp/engine.log
      kill $T`,
    );
    expect(documents(output)).toEqual([
      {
        cniVersion: "1.0.0",
        interfaces: [{ name: "wan0", mac: "02:00:00:00:00:0a", sandbox: expect.stringContaining("/ns/net") }],
        ips: [
          { address: "10.1.0.5/16", gateway: "10.1.0.1", interface: 0 },
          { address: "2001:db8:7::5/64", gateway: "2001:db8:7::1", interface: 0 },
        ],
        routes: [
          { dst: "0.0.0.0/0", gw: "10.1.0.1" },
          { dst: "::/0", gw: "2001:db8:7::1" },
        ],
        dns: { nameservers: ["10.1.0.53"], search: ["test"] },
      },
    ]);
    expect(output.replaceAll(/^\{.*\n/gm, "")).toBe(
      "ADD 0\nmtu 1400\nlink/ether 02:00:00:00:00:0a\n1\ndefault via 10.1.0.1 dev wan0 proto 98 \n192.0.2.7\nloopback\nDEL 0\n",
    );
    await expectNothingLeft(net);
  });
}, 60_000);

test("a namespace with a name, a long container id, through a link and from any directory", async () => {
  symlinkSync(join(stage().dir, "dist/cni/bucatini"), join(stage().dir, "plugin"));
  const output = await script(
    { who: "", options: {}, where: (net) => net.outside },
    `cd /
    P=${stage().dir}/plugin
    ip netns add blue
    NETNS=/run/netns/blue
    ID=${"0123456789abcdef".repeat(16)}
    cni ADD
    ip -n blue -br address show dev eth0 | awk '{ print $3 }'
    cni DEL CNI_NETNS=
    rest
    cni ADD >/dev/null
    ip netns delete blue
    for i in $(seq 50); do [ "$(rest)" ] || break; sleep 0.02; done
    rest
    cni DEL`,
  );
  expect(documents(output)[0].interfaces[0].sandbox).toBe("/run/netns/blue");
  expect(output.replaceAll(/^\{.*\n/gm, "")).toBe("ADD 0\n198.51.100.2/24\nDEL 0\nDEL 0\n");
}, 60_000);

test("VERSION needs nothing, not even a configuration", async () => {
  const output = await script(
    { who: "", options: {}, where: (net) => net.user },
    `echo '{"cniVersion":"1.0.0"}' | env -i CNI_COMMAND=VERSION $P
    env -i CNI_COMMAND=VERSION $P </dev/null
    env -i $P </dev/null 2>&1`,
  );
  const supportedVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
  expect(documents(output)).toEqual([
    { cniVersion: "1.0.0", supportedVersions },
    { cniVersion: "1.1.0", supportedVersions },
  ]);
  expect(output).toMatch(/^bucatini: this is a CNI plugin/m);
}, 60_000);
