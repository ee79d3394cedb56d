/** Listening sockets that somebody else has opened for us, as systemd does for a socket unit (sd_listen_fds(3)). */
import { isIpv4, isUnspecified, sameIp } from "../../base/address.ts";
import * as c from "../../ffi/constants.ts";
import type { Address } from "../../forward/address-rules.ts";
import { describeListeners, type PortRule } from "../../forward/port-rule.ts";
import { Pif } from "../../flow/state.ts";
import type { Families } from "../../forward/port-rules.ts";
import { boundDevice, boundTo, getOption } from "../../kernel/socket.ts";

/** A descriptor that we were born with, and what it is called (LISTEN_FDNAMES). */
export interface HandedInSocket {
  readonly fd: number;
  readonly name: string;
}

/** What such a socket listens on. */
export interface HandedIn extends HandedInSocket {
  readonly protocol: number;
  readonly port: number;
  /** Undefined: every address of both families. */
  readonly address: Address | undefined;
  readonly device: string | undefined;
}

/** Looks at a socket; undefined when it is no bound socket of TCP or UDP. */
export function inspectHandedIn(socket: HandedInSocket): HandedIn | undefined {
  const { fd } = socket;
  const bound = boundTo(fd);
  if (bound === undefined) return undefined;
  const { protocol, words, port } = bound;
  const isDual = !isIpv4(words) && isUnspecified(words) && getOption(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY) === 0;
  return { ...socket, protocol, port, address: isDual ? undefined : words, device: boundDevice(fd) };
}

/**
 * Tells whether a socket may serve a port of a rule: one of a single address or interface also serves a rule for all
 * of them, but none lets in whom the rule does not.
 */
export function serves(socket: HandedIn, rule: PortRule, port: number, families: Families): boolean {
  if (socket.protocol !== rule.protocol || socket.port !== port) return false;
  if (rule.device !== undefined && rule.device !== socket.device) return false;
  const { listen } = rule;
  if (listen === undefined) return true;
  // For both families, where only one is on.
  if (socket.address === undefined) return isUnspecified(listen) && families.ipv4 !== families.ipv6;
  if (isIpv4(listen) !== isIpv4(socket.address)) return false;
  return isUnspecified(listen) || sameIp(listen, 0, socket.address, 0);
}

/** Whether a socket serves a port of a rule, at present or when somebody listens on the other side. */
export const mayServe = (socket: HandedIn, rule: PortRule, families: Families): boolean =>
  rule.pif === Pif.Host &&
  rule.first <= socket.port &&
  socket.port <= rule.last &&
  serves(socket, rule, socket.port, families);

export const describeHandedIn = ({ protocol, address, device, port }: HandedIn): string =>
  describeListeners({ pif: Pif.Host, protocol, listen: address, device }, ` port ${port}`);
