/**
 * The ports of an engine with nothing behind them: this network namespace is the host's, that of a child is the
 * container's. Needs the capabilities of both.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ipv4Words } from "../../src/base/address.ts";
import type { PortAction } from "../../src/config/control-types.ts";
import { DEFAULT_PORTS, type PortRuleOptions } from "../../src/config/options.ts";
import { waitingNotes } from "../../src/config/port-notes.ts";
import { parsePortSpec, PORT_OPTIONS } from "../../src/config/port-spec.ts";
import { Inside } from "../../src/engine/inside.ts";
import { EventKind } from "../../src/engine/loop.ts";
import { Ports, type PortsOptions } from "../../src/engine/ports/ports.ts";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import { sendto, socket } from "../../src/ffi/libc-socket.ts";
import { scratch } from "../../src/ffi/memory.ts";
import { Listeners, type ListenerSlot } from "../../src/forward/listeners.ts";
import { Epoll } from "../../src/kernel/epoll.ts";
import { limitCapabilities } from "../../src/kernel/caps.ts";
import { type ListenOptions, listenOn, openListener } from "../../src/kernel/listen.ts";
import { openNetns } from "../../src/kernel/namespace.ts";
import { writeSockaddr, accept, connect, getOption, openTcp } from "../../src/kernel/socket.ts";

export const LOOPBACK = ipv4Words(0x7f000001);
export const EXTERNAL = ipv4Words(0xc6336402);
import { checksum, pseudo4, sumBytes } from "../../src/wire/checksum.ts";
import { TCP_CHECKSUM, TCP_LENGTH, TcpFlag, writeTcp } from "../../src/wire/tcp.ts";
import { ipFrame } from "../support/frames.ts";

/* linux/capability.h */
const CAP_NET_RAW = 13;
/* linux/in.h */
const IPPROTO_RAW = 255;
const NOBODY = 0xc6336407;
/** virtio_net_hdr and Ethernet. */
const HEADERS = 24;
const words = new Uint32Array(5);

/** What a rule is written like: "-t 80". */
function rules(...specs: string[]): PortRuleOptions[] {
  return specs.flatMap((spec) => {
    const [option, text] = spec.split(" ");
    return parsePortSpec(
      PORT_OPTIONS.find((each) => each === option)!,
      text,
      { first: 32768, last: 60999 },
    );
  });
}

const ANYWHERE: ListenOptions = {
  protocol: c.IPPROTO_TCP,
  address: undefined,
  v6: true,
  port: 0,
  device: undefined,
  freebind: false,
};

const BOTH = { ipv4: true, ipv6: true };

export const openFiles = (): number => readdirSync("/proc/self/fd").length;

const ignore = (): void => {};

/** Who listens, as a program in some namespaces sees it: "tcp 127.0.0.1:80". */
function list(...enter: string[]): string[] {
  const argv = [...enter, "ss", "-Hlntu"];
  const lines = execFileSync(argv[0], argv.slice(1), { encoding: "utf8" }).trim().split("\n");
  return lines
    .filter((line) => line !== "")
    .map((line) => line.split(/\s+/))
    .map((parts) => `${parts[0]} ${parts[4]}`)
    .toSorted();
}

export class World {
  readonly epoll = new Epoll();
  readonly listeners = new Listeners((fd) => void close(fd));
  readonly messages: string[] = [];
  /** What is logged for information. */
  readonly notices: string[] = [];
  /** Connections that were taken from listeners before those were closed. */
  readonly drained: number[] = [];
  readonly inside: Inside;
  readonly ports: Ports;
  readonly #container: ChildProcess;
  readonly #loop: NodeJS.Timeout;

  private constructor(container: ChildProcess, inside: Inside, options: Partial<PortsOptions>) {
    this.#container = container;
    this.inside = inside;
    this.#loop = setInterval(() => {
      for (let count = this.epoll.wait(0); count > 0; count--) {
        if (this.epoll.kindOf(count - 1) === EventKind.Timer) this.ports.timer(this.epoll.indexOf(count - 1));
      }
    }, 5);
    const note = (message: string): void => void this.messages.push(message);
    this.ports = new Ports({
      listeners: this.listeners,
      epoll: this.epoll,
      inside,
      fdLimit: 1 << 20,
      families: BOTH,
      enabled: BOTH,
      follow: true,
      policy: DEFAULT_PORTS,
      without: [],
      handedIn: [],
      drainAccepted: (slot) => this.#drain(slot),
      hostScope: () => 0,
      udpSocketsAt: () => [],
      pause: () => new Promise((resolve) => setImmediate(resolve)),
      log: {
        traceOn: false,
        debugOn: false,
        error: note,
        warn: note,
        info: (message) => void this.notices.push(message),
        debug: ignore,
        trace: ignore,
      },
      ...options,
    });
  }

  static async build(make: (inside: Inside) => Partial<PortsOptions> = () => ({})): Promise<World> {
    const container = spawn("unshare", ["--net", "sh", "-c", "ip link set lo up; echo; exec cat"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(container.stdout, "data");
    const inside = await Inside.enter(openNetns(`/proc/${container.pid}/ns/net`).fd);
    // Where an engine may not, we do not either: interfaces are bound to once only.
    limitCapabilities(Array.from({ length: 32 }, (_, i) => i).filter((each) => each !== CAP_NET_RAW));
    return new World(container, inside, make(inside));
  }

  start(...specs: string[]): Promise<string> {
    return outcome(this.ports.start(rules(...specs)));
  }

  change(action: PortAction, ...specs: string[]): Promise<string> {
    return outcome(this.ports.change(action, rules(...specs)));
  }

  listening(): { host: string[]; container: string[] } {
    return { host: list(), container: list("nsenter", "-t", `${this.#container.pid}`, "-n") };
  }

  show(): string[] {
    return this.ports.show().map(({ first, state, open, error }) => {
      return `${first} ${state} ${open}${error === undefined ? "" : ` ${error.code} ${error.port}`}`;
    });
  }

  /** What rules wait for. */
  notes = (): string[] => waitingNotes(this.ports.show());

  /** Resolves when all that is under way is done. */
  idle = (): Promise<string> => this.change("add");

  /** The interfaces that sockets are bound to, by index. */
  devices = (): number[] =>
    Object.values(this.fds()).map((fd) => getOption(fd, c.SOL_SOCKET, c.SO_BINDTOIFINDEX));

  /** A program in the container that listens. */
  async occupyInside(options: Partial<ListenOptions> & { port: number }): Promise<number> {
    const all = { ...ANYWHERE, ...options };
    return check(listenOn(await this.inside.socket(all.v6, all.protocol), all), "listen");
  }

  /** Waits until both sides listen on that; what they listen on in the end. */
  async settled(expected: { host: string[]; container: string[] }): Promise<unknown> {
    const start = performance.now();
    while (performance.now() - start < 3000) {
      if (JSON.stringify(this.listening()) === JSON.stringify(expected)) {
        return performance.now() - start < 1000 ? "soon" : "late";
      }
      await sleep(20);
    }
    return this.listening();
  }

  /** The descriptors of listeners by port. */
  fds(): Record<number, number> {
    const found: Record<number, number> = {};
    for (let slot = 0; slot < 100; slot++) {
      if (this.listeners.fd(slot) >= 0) found[this.listeners.port(slot)] = this.listeners.fd(slot);
    }
    return found;
  }

  slotOf(port: number): ListenerSlot {
    for (let slot = 0; ; slot++) if (this.listeners.port(slot) === port) return slot;
  }

  end(): void {
    clearInterval(this.#loop);
    this.ports.close();
    this.#container.kill();
  }

  #drain(slot: ListenerSlot): void {
    for (let fd = 0; (fd = accept(this.listeners.fd(slot), words, 0)) >= 0;) this.drained.push(fd);
  }
}

/** "" or "CODE: message". */
async function outcome(work: Promise<void>): Promise<string> {
  try {
    await work;
    return "";
  } catch (cause) {
    const error = cause as { code: string; message: string; details?: unknown };
    return `${error.code}: ${error.message} ${JSON.stringify(error.details ?? {})}`;
  }
}

/** What a program of the host gets when it tries to listen: a descriptor or -errno. */
export const tryToListen = (options: Partial<ListenOptions>): number =>
  openListener({ ...ANYWHERE, ...options });

/** A program of the host that listens. */
export const occupy = (options: Partial<ListenOptions>): number => check(tryToListen(options), "listen");

/** Milliseconds until a change is done. */
export async function timed(work: Promise<string>): Promise<number> {
  const start = performance.now();
  const failed = await work;
  if (failed !== "") throw new Error(failed);
  return Math.round(performance.now() - start);
}

/** A connection that nobody has accepted yet. */
export function client(port: number): number {
  const fd = check(openTcp(false), "socket");
  const result = connect(fd, LOOPBACK, 0, port, 0);
  if (result !== -c.EINPROGRESS) check(result, "connect");
  return fd;
}

/** A socket for whole packets of IPv4. Only before there is a world. */
export const openRaw = (): number => check(socket(c.AF_INET, c.SOCK_RAW, IPPROTO_RAW), "socket");

/**
 * Asks for a connection to 198.51.100.2 from an address nobody has, so that it stays half made. Needs an interface with
 * that network.
 */
export function connectHalf(raw: number, port: number): void {
  const { view, address, bytes } = scratch;
  const segment = new Uint8Array(TCP_LENGTH);
  const header = new DataView(segment.buffer);
  writeTcp(header, 0, 40_000, port, 1, 0, TCP_LENGTH, TcpFlag.Syn, 65_535);
  const pseudo = pseudo4(NOBODY, EXTERNAL[3], c.IPPROTO_TCP, TCP_LENGTH);
  header.setUint16(TCP_CHECKSUM, checksum(sumBytes(header, 0, TCP_LENGTH, pseudo)));
  const packet = ipFrame("198.51.100.2", c.IPPROTO_TCP, segment, { from: "198.51.100.7" }).subarray(HEADERS);
  bytes.set(packet);
  const length = writeSockaddr(view, 1024, EXTERNAL, 0, 0, 0);
  check(sendto(raw, address, packet.length, 0, address + 1024, length), "sendto");
}

/** Runs the scenario that the command line names, and prints its result. */
export async function play(scenarios: Readonly<Record<string, () => Promise<unknown>>>): Promise<void> {
  const result = await scenarios[process.argv[2]]();
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit();
}
