/**
 * How long addresses are given for (RFC 2131 section 4.4.5, RFC 8415 section 21.4). Where they follow the host they are
 * lent, so that clients come back and hear what has become of them: a few minutes after a change at the latest, which
 * costs them two packets each time. Until then they go on with what they have, and are understood. The lease itself is
 * longer than most machines sleep, for with its end a client gives up its address and all connections.
 *
 * Clients that do not look at the time of renewal but only at the lease (busybox udhcpc) come back at half of it; those
 * that end as soon as they have an address never do.
 */
import { isLinkLocal } from "../base/address.ts";
import type { Net } from "./net.ts";

/** In seconds. */
export interface Lease {
  /** When the client asks us again, and when it asks everybody: T1 and T2. */
  renew: number;
  rebind: number;
  valid: number;
}

/** A time that never comes, in DHCPv4 and DHCPv6. */
export const INFINITE_SECONDS = 0xffffffff;

const FOR_EVER: Lease = { renew: INFINITE_SECONDS, rebind: INFINITE_SECONDS, valid: INFINITE_SECONDS };
const FOLLOWING: Lease = { renew: 300, rebind: 3_150, valid: 3_600 };
/** For an address that means nothing outside, which a container has only until the host has a network. */
const WAITING: Lease = { renew: 15, rebind: 52, valid: 60 };

/** What holds for the addresses of a family; those that were given never change. */
export function leaseOf({ link, rules }: Net, family: "v4" | "v6"): Lease {
  if (!link.follows || rules[family].isFixed) return FOR_EVER;
  return link[family].assigned.every((address) => isLinkLocal(address)) ? WAITING : FOLLOWING;
}
