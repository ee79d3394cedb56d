/** Control messages that come with a datagram (cmsg(3)), as recvmsg(2) leaves them. They trust the kernel's lengths. */
import { isGroup } from "../base/address.ts";
import * as c from "../ffi/constants.ts";
import { cmsghdr, in6Pktinfo, inPktinfo } from "../ffi/structs.ts";

/** Whether the message at `at` is of that level and type. */
export const isControl = (view: DataView, at: number, level: number, type: number): boolean =>
  view.getUint32(at + cmsghdr.level, true) === level && view.getUint32(at + cmsghdr.type, true) === type;

/** Where the next message starts, if there is one. */
export const nextControl = (view: DataView, at: number): number =>
  at + Math.max(cmsghdr.size, (view.getUint32(at + cmsghdr.length, true) + 7) & ~7);

/**
 * Stores the address that a datagram was sent to when the message at `at` tells it (IP_PKTINFO, IPV6_PKTINFO), as four
 * big-endian words. An IPv4 datagram on a socket for both families has both messages, the one of IPv4 last.
 * @param answerable of a directed broadcast, stores the address of ours that answers come from
 */
export function readDestination(
  view: DataView,
  at: number,
  words: Uint32Array,
  wordsAt: number,
  answerable: boolean,
): void {
  const data = at + cmsghdr.size;
  if (isControl(view, at, c.IPPROTO_IPV6, c.IPV6_PKTINFO)) {
    for (let i = 0; i < 4; i++) words[wordsAt + i] = view.getUint32(data + in6Pktinfo.address + 4 * i);
  } else if (isControl(view, at, c.IPPROTO_IP, c.IP_PKTINFO)) {
    words[wordsAt] = 0;
    words[wordsAt + 1] = 0;
    words[wordsAt + 2] = 0xffff;
    words[wordsAt + 3] = view.getUint32(data + inPktinfo.destination);
    if (answerable && !isGroup(words, wordsAt)) {
      words[wordsAt + 3] = view.getUint32(data + inPktinfo.local);
    }
  }
}
