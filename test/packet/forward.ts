/** Listeners of scripts: `forward` lines, and the clients that come to them. */
import { Pif } from "../../src/flow/state.ts";
import type { ListenerSlot } from "../../src/forward/listeners.ts";
import type { PortRule } from "../../src/forward/port-rule.ts";
import { IpProtocol } from "../../src/wire/ipv4.ts";
import { type FakeNet, ip } from "../support/fake-net.ts";
import type { FakeClient } from "../support/fake-socket.ts";
import { parseEnd } from "./script.ts";

const FORWARD = /^(inside )?(tcp|udp) (?:(\S+) port )?(\d+)(?:-(\d+))?(?: to (?:(\S+) port )?(\d+))?$/;

/** Opens the listeners of a line `forward [inside] tcp|udp [ADDRESS port] FIRST[-LAST] [to [ADDRESS port] FIRST]`. */
export function addForward(net: FakeNet, text: string): void {
  const match = FORWARD.exec(text);
  if (match === null) throw new Error(`no rule: forward ${text}`);
  const [, inside, kind, listen, first, last, target, targetFirst] = match;
  const rule: PortRule = {
    pif: inside === undefined ? Pif.Host : Pif.Splice,
    protocol: kind === "tcp" ? IpProtocol.Tcp : IpProtocol.Udp,
    listen: optional(listen),
    device: undefined,
    first: Number(first),
    last: Number(last ?? first),
    target: optional(target),
    targetFirst: Number(targetFirst ?? first),
    weak: false,
    scan: false,
  };
  for (let port = rule.first; port <= rule.last; port++) {
    const v6 = listen === undefined || listen.includes(":");
    const socket = net.host.listen(kind === "tcp" ? "tcp" : "udp", v6, rule.pif);
    net.listeners.add(socket.fd, port, rule);
  }
}

/** Lets a client "A:P -> A:P" wait at the TCP listener of its port; returns the listener's slot. */
export function addClient(net: FakeNet, from: string, to: string): ListenerSlot {
  const [fromAddress, fromPort] = parseEnd(from);
  const [toAddress, toPort] = parseEnd(to);
  const client: FakeClient = { from: ip(fromAddress), fromPort, to: ip(toAddress), toPort };
  const { listeners, host } = net;
  for (let slot = 0; listeners.fd(slot) >= 0; slot++) {
    if (listeners.port(slot) !== toPort || listeners.protocol(slot) !== IpProtocol.Tcp) continue;
    host.sockets.find(({ fd }) => fd === listeners.fd(slot))?.waiting.push(client);
    return slot;
  }
  throw new Error(`nobody listens on port ${toPort}`);
}

const optional = (address: string | undefined): Uint32Array | undefined =>
  address === undefined ? undefined : ip(address);
