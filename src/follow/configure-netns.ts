/** Prepares the container's network namespace at the start: the loopback interface, and the TAP with all it needs. */
import { formatIp, parseMac } from "../base/address.ts";
import { AppError, SysError } from "../base/errors.ts";
import { AddressGeneration, LinkFlag, type NetworkLink } from "../base/network.ts";
import type { NetworkPlan } from "../config/network-plan.ts";
import type { Netlink } from "../kernel/netlink.ts";
import { changeLink, dumpLinks } from "../kernel/rtnetlink.ts";
import { Reconciler } from "./reconciler.ts";

/** Frames that wait for the engine before the container's kernel drops some. */
const TAP_QUEUE_LENGTH = 4_096;

export interface ConfiguredNetns {
  /** The TAP, or the loopback interface without one. */
  name: string;
  interfaceIndex: number;
  /** The container's MAC address, given or made by the kernel. */
  mac: string;
  /** The container's own link-local address; undefined without IPv6. */
  linkLocal?: string;
  /** Whether the container's kernel has IPv6, where it is wanted. */
  ipv6: boolean;
  /** What could not be done, one sentence each. */
  warnings: string[];
}

/**
 * Throws AppError or SysError when the link itself cannot be set up; a family that cannot is left out.
 * @param tapName undefined where there is only the loopback interface
 * @param withAddresses otherwise somebody inside sets MTU, addresses and routes and brings the link up
 */
export function configureNetns(
  netlink: Netlink,
  plan: NetworkPlan,
  tapName = "lo",
  withAddresses = true,
): ConfiguredNetns {
  bringLoopbackUp(netlink);
  const link = linkNamed(netlink, tapName);
  const mac = plan.mac ?? link.mac;
  if (tapName === "lo" || !withAddresses) {
    if (plan.mac !== undefined) changeLink(netlink, link.index, { mac });
    const { enabled: ipv6 } = plan.ipv6;
    // What the container's kernel gives itself, by default, when the link comes up.
    const linkLocal = tapName === "lo" || !ipv6 ? {} : { linkLocal: linkLocalFrom(mac) };
    return { name: tapName, interfaceIndex: link.index, mac, ...linkLocal, ipv6, warnings: [] };
  }
  changeLink(netlink, link.index, {
    txQueueLength: TAP_QUEUE_LENGTH,
    // When one of ours goes, those that were added inside stay.
    promoteSecondaries: true,
    ...(plan.mac !== undefined && { mac }),
    ...(plan.mtu !== 0 && { mtu: plan.mtu }),
  });
  // Our own link-local address needs no duplicate address detection, the kernel's would: a second without IPv6.
  // And where IPv6 is not wanted, nothing of it should be there.
  const isOurs = setAddressGeneration(netlink, link.index, AddressGeneration.None);
  changeLink(netlink, link.index, { setFlags: LinkFlag.Up });
  const linkLocal = linkLocalFrom(mac);
  const reconciler = new Reconciler({ netlink, interfaceIndex: link.index, linkLocal });
  const { ipv6, warnings, failures } = reconciler.reconcile(plan, 0);
  // After the link goes down and up again, the kernel makes the same address by itself.
  if (ipv6 && isOurs) setAddressGeneration(netlink, link.index, AddressGeneration.Eui64);
  const all = [...warnings, ...failures];
  const configured = { name: tapName, interfaceIndex: link.index, mac, ipv6, warnings: all };
  return ipv6 ? { ...configured, linkLocal } : configured;
}

/** Brings the namespace's loopback interface up. */
export function bringLoopbackUp(netlink: Netlink): void {
  changeLink(netlink, linkNamed(netlink, "lo").index, { setFlags: LinkFlag.Up });
}

/** Whether the kernel of this namespace lets us; without IPv6 it does not. */
function setAddressGeneration(netlink: Netlink, index: number, addressGeneration: number): boolean {
  try {
    changeLink(netlink, index, { addressGeneration });
    return true;
  } catch (cause) {
    if (cause instanceof SysError) return false;
    throw cause;
  }
}

function linkNamed(netlink: Netlink, name: string): NetworkLink {
  const link = dumpLinks(netlink).find((each) => each.name === name);
  if (link !== undefined) return link;
  throw new AppError("INTERNAL", `the container has no interface ${name} to configure: create it first`);
}

/** fe80::/64 and the modified EUI-64 of a MAC address (RFC 4291 appendix A), as the kernel makes it. */
function linkLocalFrom(mac: string): string {
  const bytes = parseMac(mac);
  if (bytes === undefined) throw new RangeError(`${mac} is not a MAC address`);
  const [a, b, c, d, e, f] = bytes;
  return formatIp(
    Uint32Array.of(
      0xfe800000,
      0,
      ((a ^ 2) << 24) | (b << 16) | (c << 8) | 0xff,
      (0xfe << 24) | (d << 16) | (e << 8) | f,
    ),
  );
}
