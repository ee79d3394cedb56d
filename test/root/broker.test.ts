/**
 * The broker: plugins are called in a user, network and mount namespace of an ordinary user, with a /run of their own,
 * as rootless Podman 4 does it; the runtime directory alone is the same inside and outside.
 *
 *   container )))  inner --- 198.51.100.128/28 --- outside --- router --- peer
 *                   .130                      .129
 */
import { expect, test } from "@jest/globals";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import type { Running } from "../support/process.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const OUTSIDE = "198.51.100.2";
const INNER = "198.51.100.130";
const DEADLINE = 60_000;

const runtimeDirectory = (): string => `/run/user/${stage().uid}`;

interface World {
  net: Network;
  /** Runs a script in the inner namespaces, with shell functions for a container and the plugin. */
  readonly inner: (script: string) => Promise<string>;
  readonly startBroker: () => Promise<Running>;
}

const CONFIG = {
  cniVersion: "1.0.0",
  name: "net",
  type: "bucatini",
  runtimeConfig: { portMappings: [{ hostPort: 8099, containerPort: 80 }] },
};

/**
 * `container` makes a network namespace with a web server, whose process is T; `cni VERB [VAR=VALUE...]` calls the plugin
 * and says how it ended; `inside` runs a command in the namespace.
 */
const prelude = (): string => `set -e
  B=${stage().bucatini}
  container() {
    unshare -n sh -c 'ip link set lo up; exec busybox httpd -f -p 80 -h ${stage().dir}/dist' > /dev/null 2>&1 & T=$!
    echo $T >> $XDG_RUNTIME_DIR/pids
    until [ "$(readlink /proc/$T/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
    NETNS=/proc/$T/ns/net
  }
  cni() {
    verb=$1; shift
    echo '${JSON.stringify(CONFIG)}' | env -i XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR CNI_COMMAND=$verb CNI_CONTAINERID=c1 \
      CNI_NETNS=$NETNS CNI_IFNAME=eth0 "$@" ${stage().dir}/dist/cni/bucatini > /run/result && echo "$verb 0" ||
      { echo "$verb $?"; cat /run/result; }
  }
  inside() { nsenter --net=$NETNS "$@"; }
  source() { inside socat -t 5 - TCP:203.0.113.1:7777; }
  remarks() { grep -o 'inner network namespace of its caller.*docs/broker.md' $XDG_RUNTIME_DIR/bucatini/*/engine.log || echo none; }
  engine() { $B status | sed -n 's/^pid: //p'; }
  is_here() { [ $(readlink /proc/$(engine)/ns/net) = $(readlink /proc/$$/ns/net) ] && echo here || echo outside; }
  gone() { timeout 5 sh -c 'until ! $0 status > /dev/null 2>&1; do sleep 0.05; done' $B && echo gone; }
  `;

async function withInner(body: (world: World) => Promise<void>): Promise<void> {
  expect(process.geteuid?.()).toBe(0);
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    await net.peer.start(`socat TCP-LISTEN:7777,fork,reuseaddr SYSTEM:'echo $SOCAT_PEERADDR'`, {
      port: 7777,
    });
    const holder = await net.user.start(
      `unshare -Urnm sh -c '
        mount --rbind $XDG_RUNTIME_DIR /mnt
        mount -t tmpfs tmpfs /run
        mkdir -p $XDG_RUNTIME_DIR
        mount --rbind /mnt $XDG_RUNTIME_DIR
        umount -l /mnt
        ip link set lo up
        echo holder $$
        exec sleep 1000'`,
      { says: "holder" },
    );
    const pid = /holder (\d+)/.exec(holder.output())?.[1];
    await net.outside.run(`set -e
      echo 1 > /proc/sys/net/ipv4/ip_forward
      ip link add in0 type veth peer name eth0 netns ${pid}
      ip address add 198.51.100.129/28 dev in0
      ip link set in0 up
      nsenter -t ${pid} -n sh -ec 'ip address add ${INNER}/28 dev eth0
        ip link set eth0 up
        ip route add default via 198.51.100.129'`);
    await net.router.run(`ip route add 198.51.100.128/28 via ${OUTSIDE}`);
    const enter = `exec nsenter -t ${pid} -U -m -n --preserve-credentials sh -s`;
    await body({
      net,
      inner: (script) => net.user.run(enter, { input: `${prelude()}\n${script}` }),
      startBroker: () => net.user.start(`${stage().bucatini} broker`, { says: "listens at" }),
    });
    await net.outside
      .run(`for pid in $(cat ${runtimeDirectory()}/pids); do kill $pid 2> /dev/null || true; done
      rm -f ${runtimeDirectory()}/pids ${runtimeDirectory()}/bucatini-broker.sock`);
    await holder.kill();
    await expectNothingLeft(net);
  });
}

const fetched = (net: Network, url: string): Promise<string> =>
  net.peer.run(`curl -s -m 5 -o /dev/null -w '%{http_code}' http://${url}/package.json || true`);

test(
  "without a broker the engine is where the plugin is, and its log says so",
  async () => {
    await withInner(async ({ inner }) => {
      const output = await inner("container; cni ADD; source; is_here; remarks; cni DEL");
      const why = `no broker listens at ${runtimeDirectory()}/bucatini-broker.sock; start bucatini broker outside`;
      expect(output).toMatch(
        new RegExp(
          `^ADD 0\n${INNER}\nhere\ninner network namespace of its caller, .*${why} .docs/broker.md\nDEL 0\n$`,
        ),
      );
    });
  },
  DEADLINE,
);

test(
  "with a broker it is outside: addresses, traffic and ports; DEL from inside ends it",
  async () => {
    await withInner(async ({ net, inner, startBroker }) => {
      const broker = await startBroker();
      const output = await inner(`container; cni ADD; source; is_here; remarks
      inside ip -4 -o address show eth0 | grep -o 'inet [0-9.]*'`);
      expect(output).toBe(`ADD 0\n${OUTSIDE}\noutside\nnone\ninet ${OUTSIDE}\n`);
      expect(await fetched(net, `${OUTSIDE}:8099`)).toBe("200");
      expect(await inner("cni DEL; $B list | tail -n +2")).toBe("DEL 0\n");
      expect(
        await net.outside.run("ss -Hlnt 'sport = :8099'; ps -e -o args= | grep '^bucatini-engine' || true"),
      ).toBe("");
      await broker.kill("SIGTERM");
      await net.user.run(`until [ ! -e ${runtimeDirectory()}/bucatini-broker.sock ]; do sleep 0.02; done`);
    });
  },
  DEADLINE,
);

test(
  "the engine ends with the process, or with a name that is only seen inside",
  async () => {
    await withInner(async ({ inner, startBroker }) => {
      const broker = await startBroker();
      expect(await inner("container; cni ADD; is_here; kill $T; gone")).toBe("ADD 0\noutside\ngone\n");
      const output = await inner(`container
      mkdir $XDG_RUNTIME_DIR/netns; NETNS=$XDG_RUNTIME_DIR/netns/netns-1
      touch $NETNS; mount --bind /proc/$T/ns/net $NETNS
      cni ADD; source; is_here; $B list | grep -c netns-1`);
      expect(output).toBe(`ADD 0\n${OUTSIDE}\noutside\n1\n`);
      expect(
        await inner("umount -l $XDG_RUNTIME_DIR/netns/netns-1; rm -r $XDG_RUNTIME_DIR/netns; gone"),
      ).toBe("gone\n");
      await broker.kill();
    });
  },
  DEADLINE,
);

test(
  "programs outside do not take it for one whose namespace is gone",
  async () => {
    await withInner(async ({ net, inner, startBroker }) => {
      const broker = await startBroker();
      await inner(`container
      mkdir $XDG_RUNTIME_DIR/netns; NETNS=$XDG_RUNTIME_DIR/netns/netns-1
      touch $NETNS; mount --bind /proc/$T/ns/net $NETNS
      cni ADD`);
      expect(await net.user.run(`${stage().bucatini} run true; ${stage().bucatini} list | wc -l`)).toBe(
        "2\n",
      );
      await inner(
        "NETNS=$XDG_RUNTIME_DIR/netns/netns-1; cni DEL; umount -l $NETNS; rm -r $XDG_RUNTIME_DIR/netns",
      );
      await broker.kill();
    });
  },
  DEADLINE,
);

test(
  "a broker that is killed leaves engines alone, and another one takes its place",
  async () => {
    await withInner(async ({ net, inner, startBroker }) => {
      const first = await startBroker();
      expect(await inner("container; cni ADD")).toBe("ADD 0\n");
      await first.kill("SIGKILL");
      expect(await fetched(net, `${OUTSIDE}:8099`)).toBe("200");
      expect(await net.user.attempt(`test -S ${runtimeDirectory()}/bucatini-broker.sock`)).toMatchObject({
        code: 0,
      });
      const second = await startBroker();
      expect(await net.user.attempt(`${stage().bucatini} broker`)).toMatchObject({
        code: 8,
        stderr: expect.stringContaining("a broker listens at"),
      });
      expect(
        await inner("NETNS=/proc/$(cat $XDG_RUNTIME_DIR/pids)/ns/net; cni DEL; cni ADD; is_here; cni DEL"),
      ).toBe("DEL 0\nADD 0\noutside\nDEL 0\n");
      await second.kill();
    });
  },
  DEADLINE,
);

test(
  "a plugin in another PID namespace is served, and ends its engine",
  async () => {
    await withInner(async ({ net, inner, startBroker }) => {
      const broker = await startBroker();
      const script = `${prelude()}\n container; cni ADD; source; kill $T; gone; container; cni ADD; source; cni DEL`;
      const output = await inner(
        `unshare -fp --mount-proc sh -s <<'END'\n${script}\nEND\nrm $XDG_RUNTIME_DIR/pids`,
      );
      expect(output).toBe(`ADD 0\n${OUTSIDE}\ngone\nADD 0\n${OUTSIDE}\nDEL 0\n`);
      expect(await net.outside.run("ps -e -o args= | grep '^bucatini-engine' || true")).toBe("");
      await broker.kill();
    });
  },
  DEADLINE,
);

test(
  "errors from outside arrive, and nothing is left; ports that Podman publishes are left to it",
  async () => {
    await withInner(async ({ net, inner, startBroker }) => {
      const broker = await startBroker();
      const holder = await net.user.start("socat TCP-LISTEN:8099,fork EXEC:cat", { port: 8099 });
      const output = await inner(
        "container; cni ADD; $B list | tail -n +2; cni ADD _CONTAINERS_USERNS_CONFIGURED=done; source; cni DEL",
      );
      expect(output).toMatch(
        /^ADD 1\n\{.*port 8099.*socat \(process \d+\).*\}\nADD 0\n198\.51\.100\.2\nDEL 0\n$/,
      );
      await holder.kill();
      await broker.kill();
    });
  },
  DEADLINE,
);

test(
  "other users and hostile requests are refused, and the broker goes on",
  async () => {
    await withInner(async ({ net, inner, startBroker }) => {
      const broker = await startBroker();
      const directory = runtimeDirectory();
      const connect = `socat -t 10 - UNIX:${directory}/bucatini-broker.sock`;
      await net.outside.run(`chmod 711 ${directory}; chmod 666 ${directory}/bucatini-broker.sock`);
      for (const who of ["setpriv --reuid=65534 --clear-groups", ""]) {
        expect(await net.outside.run(`echo | ${who} ${connect}`)).toContain("comes from another user");
      }
      await net.outside.run(`chmod 700 ${directory}`);
      const greeting = JSON.parse(await net.user.run(`${connect} < /dev/null`)) as {
        version: string;
        netns: string;
      };
      const good = {
        version: greeting.version,
        netns: { fd: 3, id: "4:1", path: "/x" },
        processes: [],
        request: {
          engine: { directory: `${directory}/bucatini/x`, state: {} },
          network: {},
          dnsForward: [],
          watch: {},
          process: {},
        },
      };
      const requests = [
        "nonsense",
        "[]",
        "{}",
        JSON.stringify({ ...good, version: "0.0.0" }),
        JSON.stringify({ ...good, netns: { ...good.netns, fd: -1 } }),
        JSON.stringify({ ...good, processes: Array<number>(17).fill(0) }),
        JSON.stringify(good),
        JSON.stringify({
          ...good,
          request: { ...good.request, engine: { directory: "/run/home", state: {} } },
        }),
        "x".repeat(3_000_000),
      ];
      for (const request of requests) {
        const lines = (await net.user.run(connect, { input: `${request}\n` })).trim().split("\n");
        expect(JSON.parse(lines[1] ?? "")).toMatchObject({
          error: { code: "USAGE", message: expect.stringContaining("refuses") },
        });
      }
      expect(await inner("container; cni ADD; is_here; cni DEL")).toBe("ADD 0\noutside\nDEL 0\n");
      await broker.kill();
      const asRoot = await net.outside.attempt(`${stage().bucatini} broker`);
      expect(asRoot).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("for users without privilege"),
      });
    });
  },
  DEADLINE,
);

test(
  "systemd starts it with the first client",
  async () => {
    await withInner(async ({ net, inner }) => {
      const socket = `${runtimeDirectory()}/bucatini-broker.sock`;
      const service = await net.user.start(
        `systemd-socket-activate -E XDG_RUNTIME_DIR -l ${socket} ${process.execPath} ${stage().bucatini} broker`,
        { says: "Listening on" },
      );
      expect(await inner("container; cni ADD; is_here; cni DEL")).toBe("ADD 0\noutside\nDEL 0\n");
      await service.kill();
      await net.user.run(`rm -f ${socket}`);
    });
  },
  DEADLINE,
);
