/**
 * Tells that links, addresses, routes or rules of a network namespace have changed. What has changed is not kept: the
 * tables say it, and messages may be lost.
 */
import { SysError } from "../base/errors.ts";
import { LinkFlag } from "../base/network.ts";
import type { Netlink } from "../kernel/netlink.ts";
import { drainLinks, RtnetlinkGroup } from "../kernel/rtnetlink.ts";

export class Monitor {
  /** Readable when something has changed. */
  readonly fd: number;
  /** What is not heard of, and why, one sentence each. */
  readonly missing: string[] = [];
  readonly #netlink: Netlink;

  /** @param netlink used for nothing else, in the namespace that is meant */
  constructor(netlink: Netlink) {
    this.#netlink = netlink;
    this.fd = netlink.fd;
    for (const [name, group] of Object.entries(GROUPS)) {
      try {
        netlink.subscribe(group);
      } catch (cause) {
        if (!(cause instanceof SysError)) throw cause;
        this.missing.push(`changes of ${name} are not heard of: ${cause.message}`);
      }
    }
  }

  /** Takes all there is. Throws SysError when nothing will come any more. */
  discard(): void {
    this.#netlink.discard();
  }

  /**
   * Takes all there is, and tells whether a link may have been down meanwhile. Throws SysError when nothing will come
   * any more.
   */
  wasDown(interfaceIndex: number): boolean {
    let down = false;
    const outcome = drainLinks(this.#netlink, ({ index, flags }) => {
      if (index === interfaceIndex && (flags & LinkFlag.Up) === 0) down = true;
    });
    return down || outcome === "resync";
  }
}

/** What the template and the container's state depend on. */
const GROUPS = {
  links: RtnetlinkGroup.Link,
  "IPv4 addresses": RtnetlinkGroup.Ipv4Address,
  "IPv4 routes": RtnetlinkGroup.Ipv4Route,
  "IPv4 rules": RtnetlinkGroup.Ipv4Rule,
  "IPv6 addresses": RtnetlinkGroup.Ipv6Address,
  "IPv6 routes": RtnetlinkGroup.Ipv6Route,
  "IPv6 rules": RtnetlinkGroup.Ipv6Rule,
} as const;
