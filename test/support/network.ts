/**
 * A small network of namespaces, made by an ordinary user, that touches nothing of the machine:
 *
 *   container ))) outside --- 198.51.100.0/24, 2001:db8:1::/64 --- router --- 203.0.113.0/24, 2001:db8:2::/64 --- peer
 *             (engine)   .2 / ::2                           .1 / ::1   .2 / ::2                            .1 / ::1
 *
 * All of it lives in one user, mount and PID namespace held by one process whose standard input is ours: when this
 * process ends, however it ends, the kernel ends everything inside. The product runs in "outside" in a user namespace
 * of its own with no capability, as it would for an ordinary user on a host.
 */
import { expect } from "@jest/globals";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { describeEnd, start, type Ended, type Running } from "./process.ts";
import { outputOf, sleep, Space } from "./space.ts";
import { FAMILIES } from "./families.ts";
import type { Stage } from "./stage.ts";
import { subjectCommand, subjectReport, SUBJECT } from "./subject.ts";

/** Faults of the cable between router and peer. Absent: a veth pair without any. */
export interface Cable {
  /** One-way delay in milliseconds. */
  readonly delayMs?: number;
  /** Shares of frames lost and held back, between 0 and 1. */
  readonly loss?: number;
  readonly reorder?: number;
}

export interface NetworkOptions {
  readonly cable?: Cable;
  /** Default of the kernel in all namespaces, the container included: cubic, reno or bbr. */
  readonly congestionControl?: string;
  /** MTU of the cable between router and peer. */
  readonly farMtu?: number;
  /** More words for `bucatini run`. */
  readonly options?: readonly string[];
  /** The namespaces belong to the machine's root instead of the ordinary user, and "outside" runs as root. */
  readonly asRoot?: boolean;
  /** Text of the host's /etc/resolv.conf; names the peer by default. */
  readonly resolvConf?: string;
  /** The host has an /etc of its own, in which "outside" may replace resolv.conf; the rest are links to the real one. */
  readonly ownEtc?: boolean;
}

const HOLDER_DEADLINE_MS = 10_000;

export class Network {
  readonly stage: Stage;
  /** Where the host's sockets live. Commands here have every capability over these namespaces. */
  readonly outside: Space;
  readonly router: Space;
  readonly peer: Space;
  /** In "outside", as the ordinary user without any capability. */
  readonly user: Space;
  #container: Space | undefined;
  #subject: Running | undefined;
  readonly #holder: Running;
  readonly #started: Running[] = [];
  readonly #env: NodeJS.ProcessEnv;
  readonly #containerOptions: readonly string[];
  readonly #congestionControl: string | undefined;

  constructor(stage: Stage, holder: Running, holderPid: number, options: NetworkOptions) {
    this.stage = stage;
    this.#holder = holder;
    this.#containerOptions = options.options ?? [];
    this.#congestionControl = options.congestionControl;
    this.#env = environment(stage, options);
    const enter = [
      ...(options.asRoot === true ? [] : stage.asUser),
      ...`nsenter -m -n -p -i -t ${holderPid}`.split(" "),
      ...(options.asRoot === true ? [] : ["-U", "--preserve-credentials"]),
      `--wd=${stage.dir}`,
    ];
    const space = (name: string, more: readonly string[]): Space =>
      new Space(name, [...enter, ...more], this.#env, this.#started);
    this.outside = space("outside", []);
    this.router = space("router", ["nsenter", "--net=/run/netns/router"]);
    this.peer = space("peer", ["nsenter", "--net=/run/netns/peer"]);
    const unprivileged = ["unshare", "-U", `--map-user=${stage.uid}`, `--map-group=${stage.gid}`];
    this.user = new Space(
      "user",
      [...enter, ...(options.asRoot === true ? stage.asUser : unprivileged)],
      { ...this.#env, XDG_RUNTIME_DIR: runtimeDirectory(stage) },
      this.#started,
    );
  }

  /** The container under test. */
  get container(): Space {
    if (this.#container === undefined) throw new Error("no container was started");
    return this.#container;
  }

  /** Starts the system under test with a container that lives until `stopContainer`. */
  async startContainer(more: readonly string[] = []): Promise<void> {
    const command = subjectCommand(this.stage, [...this.#containerOptions, ...more]);
    // Without an engine the container shares the namespaces of "outside", which the ordinary user may not enter.
    const space = SUBJECT === "kernel" ? this.outside : this.user;
    const running = await space.start(`${command} sh -c 'readlink /proc/self/ns/net; exec cat'`, {
      says: "net:[",
    });
    this.#subject = running;
    const netns = /net:\[\d+\]/.exec(running.output())?.[0] ?? "";
    const pid = firstProcessIn(netns);
    const container = new Space(
      "container",
      [
        ...this.stage.asUser,
        ..."nsenter -U -m -n -p -i -u --preserve-credentials -t".split(" "),
        String(pid),
        `--wd=${this.stage.dir}`,
      ],
      this.#env,
      this.#started,
    );
    if (this.#congestionControl !== undefined) {
      await container.run(`echo ${this.#congestionControl} > /proc/sys/net/ipv4/tcp_congestion_control`);
    }
    this.#container = container;
  }

  /** Ends the container's first process as its terminal would, and returns how the command ended. */
  async stopContainer(): Promise<Ended> {
    if (this.#subject === undefined) throw new Error("no container was started");
    this.#subject.child.stdin?.end();
    const deadline = setTimeout(() => void this.#subject?.kill(), HOLDER_DEADLINE_MS);
    const ended = await this.#subject.ended;
    clearTimeout(deadline);
    this.#subject = undefined;
    this.#container = undefined;
    return ended;
  }

  /**
   * What is in "outside" and should not be there without a container: orphans (they are children of the holder, while
   * what we start has its parent outside), interfaces, and files in the run, home and temporary directories.
   */
  async leftovers(): Promise<string[]> {
    const found = await this.outside.run(`
      ps -e -o ppid=,stat=,args= | awk '$1 == 1 && $2 !~ /^Z/ { print "process:" $0 }'
      ip -o link | awk -F': ' '$2 != "lo" && $2 !~ /^eth0@/ { print "interface: " $2 }'
      find /run/user/*/ /run/bucatini /run/home /run/tmp -mindepth 1 -not -path '/run/user/*/bucatini' 2>/dev/null |
        sed 's/^/file: /'`);
    return found.split("\n").filter((line) => line !== "");
  }

  /** The engine's view and logs, for the message of a failed test. */
  async report(): Promise<string> {
    const parts = [await subjectReport(this.user, this.stage), this.#subject?.output().slice(-2000) ?? ""];
    for (const running of this.#started) {
      if (running.child.exitCode !== null && running.child.exitCode !== 0)
        parts.push(describeEnd(await running.ended));
    }
    return parts.filter((part) => part !== "").join("\n");
  }

  async end(): Promise<void> {
    await Promise.all(this.#started.map((running) => running.kill()));
    await this.#holder.kill();
  }
}

/**
 * Builds the network, starts a container on it, runs `body`, and checks that nothing of the product is left once the
 * container has ended. A failure carries the engine's status and the end of its log.
 */
export async function withNetwork(
  stage: Stage,
  options: NetworkOptions,
  body: (net: Network) => Promise<void>,
): Promise<void> {
  await withNamespaces(stage, options, async (net) => {
    await net.startContainer();
    await body(net);
    await net.stopContainer();
    await expectNothingLeft(net);
  });
}

/** The same without a container: `body` starts what it wants. */
export async function withNamespaces(
  stage: Stage,
  options: NetworkOptions,
  body: (net: Network) => Promise<void>,
): Promise<void> {
  const net = await buildNetwork(stage, options);
  try {
    await body(net);
  } catch (cause) {
    if (cause instanceof Error) cause.message += `\n--- ${SUBJECT}\n${await net.report()}`;
    throw cause;
  } finally {
    await net.end();
  }
}

/** One second is what the product promises for its own end. */
export async function expectNothingLeft(net: Network): Promise<void> {
  const deadline = Date.now() + 1000;
  let left = await net.leftovers();
  while (left.length > 0 && Date.now() < deadline) {
    await sleep(100);
    left = await net.leftovers();
  }
  expect(left).toEqual([]);
}

/** The same for tests that share it: the caller ends it. */
export async function buildNetwork(stage: Stage, options: NetworkOptions): Promise<Network> {
  const holder = start(
    [
      ...(options.asRoot === true ? [] : [...stage.asUser, "unshare", "-Ur"]),
      ..."unshare -nmpif --mount-proc --kill-child sh -c".split(" "),
      // Orphans of the product end up with this process; ignoring SIGCHLD lets the kernel reap them.
      "readlink /proc/self/ns/net; exec env --ignore-signal=CHLD cat",
    ],
    "holder of the namespaces",
    { env: environment(stage, options) },
  );
  await outputOf(holder, "net:[");
  const pid = firstProcessIn(/net:\[\d+\]/.exec(holder.output())?.[0] ?? "");
  const net = new Network(stage, holder, pid, options);
  try {
    await net.outside.run(basicsScript(stage, options));
    await layCable(net, options);
    await net.outside.run(addressesScript(options));
  } catch (cause) {
    await net.end();
    throw cause;
  }
  return net;
}

function environment(stage: Stage, options: NetworkOptions): NodeJS.ProcessEnv {
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    HOME: "/run/home",
    USER: stage.account,
    LANG: "C",
    // Root has no such directory in most sessions.
    ...(options.asRoot !== true && { XDG_RUNTIME_DIR: runtimeDirectory(stage) }),
    TMPDIR: "/run/tmp",
    T: stage.dir,
  };
}

const runtimeDirectory = (stage: Stage): string => `/run/user/${stage.uid}`;

const OWN_ETC = `
    mkdir /run/etc /run/real-etc
    mount --bind /etc /run/real-etc
    ln -s /run/real-etc/* /run/etc
    mv /run/resolv.conf /run/etc/resolv.conf
    mount --bind /run/etc /etc`;

function basicsScript(stage: Stage, options: NetworkOptions): string {
  const control = options.congestionControl;
  const resolvConf = options.resolvConf ?? FAMILIES.map((family) => `nameserver ${family.peer}\n`).join("");
  return `set -e
    mount -t tmpfs tmpfs /run
    mkdir -m 755 /run/user
    mkdir -m 700 ${runtimeDirectory(stage)}
    mkdir -m 1777 /run/tmp /run/home
    [ $(id -u) -ne 0 ] || chown ${options.asRoot === true ? stage.uid : 0} ${runtimeDirectory(stage)}
    printf '${resolvConf.replaceAll("\n", "\\n")}' > /run/resolv.conf
    ${options.ownEtc === true ? OWN_ETC : "mount --bind /run/resolv.conf /etc/resolv.conf"}
    ip netns add router
    ip netns add peer
    for name in router peer outside; do
      in=
      [ $name = outside ] || in="nsenter --net=/run/netns/$name"
      $in sh -c '
        ip link set lo up
        echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
        echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range || echo "0 0" > /proc/sys/net/ipv4/ping_group_range
        ${control === undefined ? "" : `echo ${control} > /proc/sys/net/ipv4/tcp_congestion_control`}' 2>/dev/null
    done
    nsenter --net=/run/netns/router sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward
      echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
      echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
      echo 0 > /proc/sys/net/ipv6/icmp/ratelimit'
    ip link add eth0 type veth peer name near netns router
    `;
}

async function layCable(net: Network, options: NetworkOptions): Promise<void> {
  if (options.cable === undefined) {
    await net.router.run("ip link add far type veth peer name eth0 netns peer");
    return;
  }
  const { delayMs = 0, loss = 0, reorder = 0 } = options.cable;
  await net.router.start(`node $T/link.mjs far eth0 ${delayMs} ${loss} ${reorder}`, { says: "ready" });
  await net.router.run("ip link set eth0 netns peer");
}

function addressesScript(options: NetworkOptions): string {
  const mtu = options.farMtu ?? 1500;
  return `set -e
    ip link set eth0 up
    nsenter --net=/run/netns/router sh -ec '
      ip link set near up
      ip link set far up mtu ${mtu}
      ip address add 198.51.100.1/24 dev near
      ip address add 203.0.113.2/24 dev far
      ip address add 2001:db8:1::1/64 dev near nodad
      ip address add 2001:db8:2::2/64 dev far nodad
      for address in 203.0.113.66 2001:db8:2::66; do
        ip neighbour add $address lladdr 02:00:00:00:00:66 dev far nud permanent
      done'
    nsenter --net=/run/netns/peer sh -ec '
      ip link set eth0 up mtu ${mtu}
      ip address add 203.0.113.1/24 dev eth0
      ip address add 2001:db8:2::1/64 dev eth0 nodad
      ip route add default via 203.0.113.2
      ip route add default via 2001:db8:2::2'
    ip address add 198.51.100.2/24 dev eth0
    ip address add 2001:db8:1::2/64 dev eth0 nodad
    ip route add default via 198.51.100.1
    ip route add default via 2001:db8:1::1`;
}

/** Process 1 of the innermost PID namespace in the network namespace that `link` (as of readlink) names. */
function firstProcessIn(link: string): number {
  let found: { readonly pid: number; readonly depth: number } = { pid: 0, depth: 0 };
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readlinkSync(`/proc/${name}/ns/net`) !== link) continue;
      // One number for each PID namespace, the innermost last.
      const numbers =
        /^NSpid:\t(.*)$/m.exec(readFileSync(`/proc/${name}/status`, "utf8"))?.[1]?.split("\t") ?? [];
      if (numbers.at(-1) === "1" && numbers.length > found.depth) {
        found = { pid: Number(name), depth: numbers.length };
      }
    } catch {
      // Ended meanwhile, or not ours to look at.
    }
  }
  if (found.pid === 0) throw new Error(`no process 1 is in ${link}`);
  return found.pid;
}
