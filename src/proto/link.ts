/** The link to the container: who we are on it, who the container is, and what it may carry. */
import type { Address } from "../forward/address-rules.ts";

export interface FamilyLink {
  /** Whether the family is carried at all. */
  enabled: boolean;
  /** Our address on the link: the source of what we say ourselves. IPv4: the gateway. IPv6: link-local. */
  ours: Address;
  /** The container's addresses as configured; ARP and NDP never answer for them. */
  assigned: Address[];
}

export interface Link {
  /** Largest IP packet, in bytes. */
  mtu: number;
  /** Our MAC address, 6 bytes. */
  ourMac: Uint8Array;
  /** The container's MAC address: what its last frame said. */
  guestMac: Uint8Array;
  v4: FamilyLink;
  v6: FamilyLink;
  /** Whether segmentation and checksums are left to the kernel; otherwise both are done here. */
  offload: boolean;
  /** Whether the kernel takes trains of UDP datagrams in one frame (Linux 6.2). */
  udpOffload: boolean;
  /** What router advertisements say; none is sent without it, where the namespace is configured directly. */
  advertise?: RouterOptions;
}

/** What a router tells beside prefixes and MTU. */
export interface RouterOptions {
  /** IPv6 addresses of resolvers. */
  resolvers: readonly Address[];
  searchDomains: readonly string[];
}
