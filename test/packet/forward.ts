/** Listeners of scripts: `forward` lines, and the clients that come to them. */
import { Pif } from "../../src/flow/state.ts";
import type { ListenerSlot } from "../../src/forward/listeners.ts";
import { IpProtocol } from "../../src/wire/ipv4.ts";
import { type FakeNet, ip } from "../support/fake-net.ts";
import type { FakeClient, FakeSocket, SocketKind } from "../support/fake-socket.ts";
import { portRule } from "../support/port-rule.ts";
import { parseEnd } from "./script.ts";

const FORWARD = /^(inside )?(tcp|udp) (?:(\S+) port )?(\d+)(?:-(\d+))?(?: to (?:(\S+) port )?(\d+))?$/;

/** Opens the listeners of a line `forward [inside] tcp|udp [ADDRESS port] FIRST[-LAST] [to [ADDRESS port] FIRST]`. */
export function addForward(net: FakeNet, text: string): void {
  const match = FORWARD.exec(text);
  if (match === null) throw new Error(`no rule: forward ${text}`);
  const [, inside, kind, listen, first, last, target, targetFirst] = match;
  const rule = portRule({
    pif: inside === undefined ? Pif.Host : Pif.Splice,
    protocol: kind === "tcp" ? IpProtocol.Tcp : IpProtocol.Udp,
    listen: optional(listen),
    first: Number(first),
    last: Number(last ?? first),
    target: optional(target),
    targetFirst: Number(targetFirst ?? first),
  });
  for (let port = rule.first; port <= rule.last; port++) {
    const v6 = listen === undefined || listen.includes(":");
    const socket = net.host.listen(kind === "tcp" ? "tcp" : "udp", v6, rule.pif);
    net.listeners.add(socket.fd, port, rule);
  }
}

/** A listener, and a client at it. */
export interface Visit {
  slot: ListenerSlot;
  socket: FakeSocket;
  client: FakeClient;
}

/** Finds the listener for what comes from `from` to `to`, both "A:P". */
export function visit(net: FakeNet, kind: SocketKind, from: string, to: string): Visit {
  const [fromAddress, fromPort] = parseEnd(from);
  const [toAddress, toPort] = parseEnd(to);
  const client: FakeClient = { from: ip(fromAddress), fromPort, to: ip(toAddress), toPort };
  const { listeners, host } = net;
  for (let slot = 0; listeners.fd(slot) >= 0; slot++) {
    const socket = host.sockets.find(({ fd }) => fd === listeners.fd(slot));
    if (socket?.kind === kind && listeners.port(slot) === toPort) return { slot, socket, client };
  }
  throw new Error(`nobody listens on port ${toPort}`);
}

const optional = (address: string | undefined): Uint32Array | undefined =>
  address === undefined ? undefined : ip(address);
