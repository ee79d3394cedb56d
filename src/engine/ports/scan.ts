/**
 * Automatic ports: who listens on the other side, so that clients of this side could be served. Our own listeners do
 * not count; two sides that forward each other's forwards would keep a port open for ever.
 */
import { isIpv4, isLoopback, isMulticast, isUnspecified } from "../../base/address.ts";
import { AppError } from "../../base/errors.ts";
import { ENOENT } from "../../ffi/constants.ts";
import { Pif } from "../../flow/state.ts";
import type { PortRule } from "../../forward/port-rule.ts";
import type { Families } from "../../forward/port-rules.ts";
import type { SockDiag, WaitingSocket } from "../../kernel/sock-diag.ts";
import { IpProtocol } from "../../wire/ipv4.ts";
import type { BindPoints } from "./bind-points.ts";
import { PortMap } from "./port-map.ts";

export interface PortScanOptions {
  /** Looks at the host, and at the container. */
  readonly host: SockDiag;
  readonly container: SockDiag;
  readonly families: Families;
  /** Whether connections to the host's loopback arrive at the container's. */
  readonly hostLoopbackToContainer: boolean;
}

/** Index of the loopback interface in every network namespace. @see LOOPBACK_IFINDEX in net/net_namespace.h */
const LOOPBACK_INDEX = 1;

export class PortScan {
  /** What the container's clients reach, and what the host's do. */
  readonly #host: Side;
  readonly #container: Side;

  /** Throws AppError (USAGE) when the kernel does not tell who listens. */
  constructor({ host, container, families, hostLoopbackToContainer }: PortScanOptions) {
    this.#host = new Side(host, (socket) => isServed(socket, families) && isReachedLocally(socket));
    this.#container = new Side(
      container,
      (socket) => isServed(socket, families) && (hostLoopbackToContainer || !isLoopback(socket.address)),
    );
    for (const side of [this.#host, this.#container]) {
      if (side.look() !== -ENOENT) continue;
      const reason = "this kernel does not tell who listens (modules inet_diag and udp_diag)";
      throw new AppError("USAGE", `automatic ports cannot be had: ${reason}`);
    }
  }

  /** Whether somebody has started or ceased to listen since `read`. */
  hasChanged(): boolean {
    return this.#host.hasChanged() || this.#container.hasChanged();
  }

  /** Looks who listens now; whether that has changed. @param points our own listeners */
  read(points: BindPoints): boolean {
    const hasHostChanged = this.#host.read(points, Pif.Host);
    return this.#container.read(points, Pif.Splice) || hasHostChanged;
  }

  /** Takes ports that we listen on ourselves since `read` out of those that are forwarded the other way. */
  claim(rule: PortRule, ports: readonly number[]): void {
    const side = rule.pif === Pif.Host ? this.#host : this.#container;
    side.claim(rule.protocol, ports);
  }

  /** Whether somebody listened where a rule leads to for this port, when `read` was called last. */
  isListening(rule: PortRule, port: number): boolean {
    const side = rule.pif === Pif.Host ? this.#container : this.#host;
    return side.has(rule.protocol, port - rule.first + rule.targetFirst);
  }
}

/** Whether the socket is one of a family that there is, and for everybody who sends to it. */
const isServed = ({ address, isDual }: WaitingSocket, { ipv4, ipv6 }: Families): boolean =>
  (isIpv4(address) ? ipv4 : ipv6 || isDual) && !isMulticast(address);

/** Whether connections to a loopback address arrive at the socket. */
const isReachedLocally = ({ address, index }: WaitingSocket): boolean =>
  (isUnspecified(address) || isLoopback(address)) && (index === 0 || index === LOOPBACK_INDEX);

/** The listeners of one side. */
class Side {
  readonly diag: SockDiag;
  /** Ports with listeners when `read` was called last, and when they were looked at last. */
  readonly #tcp = new PortMap();
  readonly #udp = new PortMap();
  readonly #nextTcp = new PortMap();
  readonly #nextUdp = new PortMap();
  /** Those that are to be forwarded. */
  readonly #tcpWanted = new PortMap();
  readonly #udpWanted = new PortMap();
  readonly #addTcp: (socket: WaitingSocket) => void;
  readonly #addUdp: (socket: WaitingSocket) => void;

  constructor(diag: SockDiag, counts: (socket: WaitingSocket) => boolean) {
    this.diag = diag;
    this.#addTcp = (socket) => {
      if (counts(socket)) this.#nextTcp.add(socket.port);
    };
    this.#addUdp = (socket) => {
      if (counts(socket)) this.#nextUdp.add(socket.port);
    };
  }

  has(protocol: number, port: number): boolean {
    return this.#wanted(protocol).has(port);
  }

  claim(protocol: number, ports: readonly number[]): void {
    const wanted = this.#wanted(protocol);
    for (const port of ports) wanted.delete(port);
  }

  #wanted(protocol: number): PortMap {
    return protocol === IpProtocol.Tcp ? this.#tcpWanted : this.#udpWanted;
  }

  hasChanged(): boolean {
    return this.look() === 0 && !(this.#nextTcp.equals(this.#tcp) && this.#nextUdp.equals(this.#udp));
  }

  /** @param pif where our own listeners on this side are */
  read(points: BindPoints, pif: Pif): boolean {
    const hasChanged = this.hasChanged();
    if (hasChanged) {
      this.#tcp.set(this.#nextTcp);
      this.#udp.set(this.#nextUdp);
    }
    this.#tcpWanted.set(this.#tcp);
    deleteOwn(this.#tcpWanted, points, pif, IpProtocol.Tcp);
    // Some servers use both, and open the port of UDP for each client only (iperf3).
    this.#udpWanted.set(this.#udp);
    this.#udpWanted.addAll(this.#tcpWanted);
    deleteOwn(this.#udpWanted, points, pif, IpProtocol.Udp);
    return hasChanged;
  }

  /** 0, or -errno when some may be missing. */
  look(): number {
    const { diag } = this;
    this.#nextTcp.clear();
    this.#nextUdp.clear();
    return (
      diag.dump(IpProtocol.Tcp, false, this.#addTcp) ||
      diag.dump(IpProtocol.Tcp, true, this.#addTcp) ||
      diag.dump(IpProtocol.Udp, false, this.#addUdp) ||
      diag.dump(IpProtocol.Udp, true, this.#addUdp)
    );
  }
}

function deleteOwn(ports: PortMap, points: BindPoints, pif: Pif, protocol: number): void {
  points.forEach(pif, protocol, ({ slots }) => {
    for (const port of slots.keys()) ports.delete(port);
  });
}
