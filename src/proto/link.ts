/** The link to the container: who we are on it, who the container is, and what it may carry. */
import type { Prefix } from "../base/address.ts";
import type { Address } from "../forward/address-rules.ts";

export interface FamilyLink {
  /** Whether the family is carried at all. */
  enabled: boolean;
  /** Our address on the link: the source of what we say ourselves. IPv4: the gateway. IPv6: link-local. */
  ours: Address;
  /**
   * The addresses that programs inside are to use, the most important one first: those of `FamilyRules.assigned` that
   * are not deprecated, or all where there is no other.
   */
  assigned: Address[];
  /** We are a DHCP server for whoever asks. */
  dhcp: boolean;
  /** Interface of the host whose neighbours are the container's as well; 0: it has none. */
  neighbourhood: number;
}

/** What IPv4 tells by DHCP. */
export interface Link4 extends FamilyLink {
  /** Those of `assigned`, in bits. */
  prefixLengths: number[];
  routes: Route4[];
}

/** A route of the container; addresses are numbers in host order. */
export interface Route4 {
  destination: number;
  length: number;
  /** 0: everybody there is on the link. */
  gateway: number;
}

/** What IPv6 tells by router advertisements. */
export interface Link6 extends FamilyLink {
  /** Where routes of the container lead: through us, all of them. */
  routes: Prefix[];
}

export interface Link {
  /** Largest IP packet, in bytes. */
  mtu: number;
  /** Our MAC address, 6 bytes. */
  ourMac: Uint8Array;
  /** The container's MAC address: what its last frame said. */
  guestMac: Uint8Array;
  v4: Link4;
  v6: Link6;
  /** Whether segmentation and checksums are left to the kernel; otherwise both are done here. */
  offload: boolean;
  /** Whether the kernel takes trains of UDP datagrams in one frame (Linux 6.2). */
  udpOffload: boolean;
  /** Whether any of this becomes something else when the host does. */
  follows: boolean;
  /** We are an IPv6 router, asked or not. */
  routerAdvertisements: boolean;
  advertise: Advertised;
}

/** What whoever asks is told by router advertisements and DHCP, beside addresses, routes and MTU. */
export interface Advertised {
  /** Of both families, in order of preference. */
  resolvers: readonly Address[];
  searchDomains: readonly string[];
  /** The container's name, without its domain and with it. */
  hostname?: string | undefined;
  fqdn?: string | undefined;
}
