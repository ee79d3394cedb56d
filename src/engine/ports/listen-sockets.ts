/** The listening sockets of one engine, on the host and in the container: opening, watching, closing. */
import { isIpv4 } from "../../base/address.ts";
import * as c from "../../ffi/constants.ts";
import { check } from "../../ffi/errno.ts";
import { close, fcntl } from "../../ffi/libc.ts";
import { Pif } from "../../flow/state.ts";
import type { Listeners, ListenerSlot } from "../../forward/listeners.ts";
import type { PortRule } from "../../forward/port-rule.ts";
import type { Families } from "../../forward/port-rules.ts";
import type { Epoll } from "../../kernel/epoll.ts";
import {
  adoptListener,
  type ListenOptions,
  listenOn,
  openListener,
  retireListener,
  setShared,
  tryToBind,
} from "../../kernel/listen.ts";
import { belowLimit } from "../../kernel/process.ts";
import { bindToDevice } from "../../kernel/socket.ts";
import { type BindPoint, BindPoints } from "./bind-points.ts";
import {
  describeHandedIn,
  type HandedIn,
  type HandedInSocket,
  inspectHandedIn,
  mayServe,
  serves,
} from "./handed-in.ts";
import type { Inside } from "../inside.ts";
import { EventKind } from "../loop.ts";
import { Presence } from "./presence.ts";

export interface ListenSocketsOptions {
  readonly listeners: Listeners;
  readonly epoll: Epoll;
  /** Makes sockets in the container's network namespace. */
  readonly inside: Inside;
  /** Listening sockets have descriptors below this. */
  readonly fdLimit: number;
  /** Families that rules may name. */
  readonly families: Families;
  /** Those of them that are on at the moment. */
  readonly enabled: Families;
  /** Interface index that goes with link-local IPv6 addresses of the host at present, or 0. */
  readonly hostScope: () => number;
  /** Whether sockets may be bound to addresses that are not there yet. */
  readonly freebind: boolean;
  /** Whether rules wait for addresses and interfaces that the host does not have. */
  readonly follow: boolean;
  /** They stay open for as long as the process lives. */
  readonly handedIn: readonly HandedInSocket[];
  /** Accepts the connections that wait at a listener, before it is closed. */
  readonly drainAccepted: (slot: ListenerSlot) => void;
  /** Sockets of the container's UDP conversations that have a port of the host. */
  readonly udpSocketsAt: (port: number) => number[];
}

const EVENTS = c.EPOLLIN | c.EPOLLET;

export class ListenSockets {
  readonly presence: Presence;
  readonly points: BindPoints;
  readonly #options: ListenSocketsOptions;
  readonly #handedIn: readonly HandedIn[];
  /** Whether the kernel does, as far as is known. */
  #hasIpv6 = true;

  constructor(options: ListenSocketsOptions) {
    this.#options = options;
    this.presence = new Presence(options);
    this.points = new BindPoints(this.presence);
    this.#handedIn = options.handedIn.flatMap((socket) => inspectHandedIn(socket) ?? []);
    const { listeners, epoll } = options;
    listeners.onClose = (slot) => {
      // Closing alone does not end the events of a socket that whoever handed it in has open too.
      if (this.points.of(slot).handedIn !== undefined) epoll.remove(listeners.fd(slot));
      this.points.remove(listeners.port(slot), slot);
    };
  }

  /** Sockets that were handed in and that can serve none of some rules, in words. */
  describeUnused(rules: readonly PortRule[]): string[] {
    const { handedIn, families } = this.#options;
    return handedIn.flatMap(({ fd, name }) => {
      const socket = this.#handedIn.find((each) => each.fd === fd);
      if (socket !== undefined && rules.some((rule) => mayServe(socket, rule, families))) return [];
      return `${name === "" ? "unnamed" : name} (${socket === undefined ? "no bound socket of TCP or UDP" : describeHandedIn(socket)})`;
    });
  }

  /** Finds out, and tells, whether sockets in the container can be bound to its loopback interface. Throws SysError. */
  async probeLoopback(): Promise<boolean> {
    const fd = check(await this.#options.inside.socket(false, c.IPPROTO_UDP), "socket", "in the container");
    this.points.hasLoopbackDevice = bindToDevice(fd, "lo") !== -c.EPERM;
    close(fd);
    return this.points.hasLoopbackDevice;
  }

  /** Where a rule listens on a port. @param points those of the rule (BindPoints.ofRule) */
  pointsAt(points: readonly BindPoint[], rule: PortRule, port: number): readonly BindPoint[] {
    if (this.#handedIn.length === 0 || rule.pif !== Pif.Host) return points;
    const own = this.#handedInFor(rule, port);
    return own.length === 0 ? points : own.map((socket) => this.points.ofHandedIn(socket));
  }

  /** Calls `visit` for each socket that serves a rule, also where it should not be any more. */
  forEachSlot(rule: PortRule, visit: (slot: ListenerSlot, port: number) => void): void {
    const { listeners } = this.#options;
    for (const { slots } of this.points.usedBy(rule)) {
      if (slots.size < rule.last - rule.first) {
        for (const [port, slot] of slots) if (listeners.rule(slot) === rule) visit(slot, port);
        continue;
      }
      for (let port = rule.first; port <= rule.last; port++) {
        const slot = slots.get(port);
        if (slot !== undefined && listeners.rule(slot) === rule) visit(slot, port);
      }
    }
  }

  /** Tells which sockets of a rule are where they should be now. */
  placesOf(rule: PortRule): (slot: ListenerSlot, port: number) => boolean {
    const points = this.points.ofRule(rule);
    return (slot, port) => this.pointsAt(points, rule, port).includes(this.points.of(slot));
  }

  /** How many sockets would have to be opened for ports of a rule. */
  countMissing(rule: PortRule, ports: readonly number[]): number {
    const points = this.points.ofRule(rule);
    let count = 0;
    for (const port of ports) {
      for (const { slots } of this.pointsAt(points, rule, port)) if (!slots.has(port)) count++;
    }
    return count;
  }

  /**
   * Whether a port of a rule that waits could be had if what it waits for were there, as far as that can be told: 0, or
   * a positive errno.
   */
  rehearse(rule: PortRule, port: number): number {
    const { pif, protocol, listen: address, device } = rule;
    if (pif !== Pif.Host || this.#handedInFor(rule, port).length > 0) return 0;
    const v6 = address !== undefined && !isIpv4(address);
    const speaking = protocol === c.IPPROTO_UDP ? this.#options.udpSocketsAt(port) : [];
    const others = [...this.#othersOn(rule, port), ...speaking];
    const options = { protocol, address, v6, port, device: undefined, freebind: true };
    const errno = -sharing(others, (share) => tryToBind({ ...options, share }));
    // Without the interface, others would be in the way that listen on another one.
    return errno === c.EACCES || (errno === c.EADDRINUSE && device === undefined) ? errno : 0;
  }

  /** Opens sockets that nobody watches yet: for each port a descriptor or -errno. */
  async open(point: BindPoint, ports: readonly number[]): Promise<number[]> {
    const { handedIn, pif } = point;
    if (handedIn !== undefined) return ports.map(() => adopt(handedIn));
    if (pif === Pif.Host) return ports.map((port) => this.#bind(point, port, openListener));
    const fds = await this.#openInside(point, ports.length);
    return ports.map((port, i) => {
      const fd = belowLimit(fds[i], this.#options.fdLimit);
      return fd < 0 ? fd : this.#bind(point, port, (options) => listenOn(fd, options));
    });
  }

  /**
   * Lets clients of an open socket in: its slot. Owns the descriptor from here on. Throws SysError.
   */
  register(point: BindPoint, port: number, fd: number, rule: PortRule): ListenerSlot {
    const { listeners, epoll } = this.#options;
    const slot = listeners.add(fd, port, rule);
    this.points.add(point, port, slot);
    this.points.use(slot, rule);
    const result = epoll.add(fd, EVENTS, EventKind.Listener, slot);
    if (result < 0) listeners.retire(slot);
    check(result, "epoll_ctl", "listener");
    return slot;
  }

  /** Lets new clients of a socket in by this rule. */
  setRule(slot: ListenerSlot, rule: PortRule): void {
    this.#options.listeners.setRule(slot, rule);
    this.points.use(slot, rule);
  }

  /** Lets nobody new in at a TCP listener; who is coming in still does, until it is closed. */
  stop(slot: ListenerSlot): void {
    const { listeners, epoll } = this.#options;
    if (listeners.protocol(slot) !== c.IPPROTO_TCP) return;
    // A filter would stay on a socket that is not ours alone.
    if (this.points.of(slot).handedIn === undefined) retireListener(listeners.fd(slot));
    else epoll.remove(listeners.fd(slot));
  }

  /** Closes a listener. Connections that wait are accepted; a UDP socket stays for the flows that use it. */
  retire(slot: ListenerSlot): void {
    const { listeners, drainAccepted } = this.#options;
    if (listeners.protocol(slot) === c.IPPROTO_TCP) drainAccepted(slot);
    listeners.retire(slot);
  }

  /** Closes all sockets, whoever uses them. */
  close(): void {
    for (const slot of this.points.slots()) close(this.#options.listeners.fd(slot));
  }

  async #openInside(point: BindPoint, count: number): Promise<number[]> {
    const inside = this.#options.inside;
    const fds = await Promise.all(
      Array.from({ length: count }, () => inside.socket(this.#isV6(point), point.protocol)),
    );
    if (fds[0] !== -c.EAFNOSUPPORT || !this.#hasIpv6) return fds;
    this.#hasIpv6 = false;
    return this.#openInside(point, count);
  }

  /** Opens one port: its descriptor or -errno. */
  #bind(point: BindPoint, port: number, open: (options: ListenOptions) => number): number {
    // One for another address may be on its way out, or carry what is left of flows.
    const others = this.#othersOn(point, port);
    const fd = this.#bindBeside(others, point, port, open);
    if (fd !== -c.EADDRINUSE || point.pif !== Pif.Host || point.protocol !== c.IPPROTO_UDP) return fd;
    // The container may have spoken from this port before; its peers keep on reaching it there.
    const speaking = this.#options.udpSocketsAt(port);
    return speaking.length === 0 ? fd : this.#bindBeside([...others, ...speaking], point, port, open);
  }

  /** The same on a port that other sockets of ours have too. */
  #bindBeside(
    others: readonly number[],
    point: BindPoint,
    port: number,
    open: (options: ListenOptions) => number,
  ): number {
    const { protocol, address, device } = point;
    const { freebind, hostScope } = this.#options;
    const scope = point.pif === Pif.Host && device === undefined ? hostScope() : 0;
    const v6 = this.#isV6(point);
    const fd = sharing(others, (share) =>
      open({ protocol, address, v6, port, device, scope, freebind, share }),
    );
    if (others.length > 0 && fd >= 0) setShared(fd, false);
    return belowLimit(fd, this.#options.fdLimit);
  }

  /** Sockets that were handed in for a port of a rule. */
  #handedInFor(rule: PortRule, port: number): HandedIn[] {
    const { families } = this.#options;
    return this.#handedIn.filter((socket) => serves(socket, rule, port, families));
  }

  /** The family of a point's sockets. */
  #isV6({ address }: BindPoint): boolean {
    return address === undefined ? this.#hasIpv6 : !isIpv4(address);
  }

  /** Our sockets on the same port elsewhere. */
  #othersOn({ pif, protocol }: Pick<BindPoint, "pif" | "protocol">, port: number): number[] {
    const fds: number[] = [];
    this.points.forEach(pif, protocol, (other) => {
      const slot = other.slots.get(port);
      if (slot !== undefined) fds.push(this.#options.listeners.fd(slot));
    });
    return fds;
  }
}

/** Does something while sockets of ours are no hindrance to others that are shared. */
function sharing(fds: readonly number[], act: (share: boolean) => number): number {
  for (const fd of fds) setShared(fd, true);
  const result = act(fds.length > 0);
  for (const fd of fds) setShared(fd, false);
  return result;
}

/** A descriptor of our own for a socket that was handed in. */
function adopt({ fd, protocol, address }: HandedIn): number {
  const own = fcntl(fd, c.F_DUPFD_CLOEXEC, 0);
  return own < 0 ? own : adoptListener(own, protocol, address === undefined || !isIpv4(address));
}
