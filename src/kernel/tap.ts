/**
 * The TAP device, the container's end of the wire. Each read and write moves one frame behind a virtio_net_hdr of
 * 10 bytes. The device belongs to the network namespace of the thread that opened the control file.
 */
import { AppError } from "../base/errors.ts";
import * as c from "../ffi/constants.ts";
import { check, errnoName } from "../ffi/errno.ts";
import { close, ioctl, open } from "../ffi/libc.ts";
import { scratch } from "../ffi/memory.ts";
import { ifreq } from "../ffi/structs.ts";

export interface Tap {
  readonly fd: number;
  /** The name the kernel gave, which may come from a pattern such as "tap%d". */
  readonly name: string;
  /** TUN_F_* bits in force; 0 means that we complete every checksum ourselves. */
  readonly offloads: number;
}

export interface TapOptions {
  /** False to carry only whole packets with whole checksums. */
  readonly wantOffload: boolean;
}

export const TUN_PATH = "/dev/net/tun";
export const TUN_OPEN_FLAGS: number = c.O_RDWR | c.O_NONBLOCK | c.O_CLOEXEC;
const VNET_HEADER_LENGTH = 10;
/** With IFF_TUN_EXCL, a persistent device of that name, which is somebody else's, is not taken over. */
const TUN_FLAGS = c.IFF_TAP | c.IFF_NO_PI | c.IFF_VNET_HDR | c.IFF_TUN_EXCL;

/** Longest interface name, in bytes. */
export const MAX_INTERFACE_NAME: number = c.IFNAMSIZ - 1;

/** Sets to try, best first. USO needs Linux 6.2, and the kernel takes its two bits only together. */
const TCP_BOTH = c.TUN_F_CSUM | c.TUN_F_TSO4 | c.TUN_F_TSO6;
const OFFLOADS = [
  TCP_BOTH | c.TUN_F_TSO_ECN | c.TUN_F_USO4 | c.TUN_F_USO6,
  TCP_BOTH | c.TUN_F_TSO_ECN,
  TCP_BOTH,
  c.TUN_F_CSUM | c.TUN_F_TSO4,
  c.TUN_F_CSUM,
];

/** Makes a TAP device in the network namespace of this thread. Throws AppError NO_TUN. */
export function openTap(name: string, options: TapOptions): Tap {
  return attachTap(checkTunOpen(open(TUN_PATH, TUN_OPEN_FLAGS)), name, options);
}

/** Gives back what open(2) of TUN_PATH returned, or throws AppError NO_TUN. */
export function checkTunOpen(fd: number): number {
  if (fd >= 0) return fd;
  throw new AppError("NO_TUN", `cannot open ${TUN_PATH}: ${whyNotOpened(-fd)}`);
}

/** Makes `fd`, an open TUN_PATH, a TAP device; closes it on failure. Throws AppError NO_TUN. */
export function attachTap(fd: number, name: string, options: TapOptions): Tap {
  const { view, bytes, address } = scratch;
  bytes.fill(0, 0, ifreq.size);
  const { written } = new TextEncoder().encodeInto(name, bytes.subarray(0, MAX_INTERFACE_NAME));
  if (written === 0 || written !== Buffer.byteLength(name)) {
    close(fd);
    throw new AppError(
      "NO_TUN",
      `"${name}" is no interface name: it must have 1 to ${MAX_INTERFACE_NAME} bytes`,
    );
  }
  view.setUint16(ifreq.value, TUN_FLAGS, true);
  const result = ioctl(fd, c.TUNSETIFF, address);
  if (result < 0) {
    close(fd);
    throw new AppError("NO_TUN", `cannot make the TAP device "${name}": ${whyNotAttached(-result)}`);
  }
  const end = bytes.indexOf(0);
  const given = Buffer.from(bytes.subarray(0, end)).toString();
  view.setInt32(0, VNET_HEADER_LENGTH, true);
  check(ioctl(fd, c.TUNSETVNETHDRSZ, address), "ioctl TUNSETVNETHDRSZ");
  return { fd, name: given, offloads: options.wantOffload ? setOffloads(fd) : 0 };
}

/** Turns on the best set of offloads that the kernel takes: TUN_F_* bits, 0 for none. */
export function setOffloads(fd: number): number {
  return OFFLOADS.find((bits) => ioctl(fd, c.TUNSETOFFLOAD, bits) >= 0) ?? 0;
}

/**
 * Has the device's link show a carrier or not; without one the kernel sends nothing. Needs Linux 5.0; an older one
 * leaves the carrier up.
 */
export function setCarrier(fd: number, isUp: boolean): void {
  scratch.view.setInt32(0, isUp ? 1 : 0, true);
  const result = ioctl(fd, c.TUNSETCARRIER, scratch.address);
  if (result !== -c.EINVAL) check(result, "ioctl TUNSETCARRIER");
}

/** Which segments the kernel cuts, of a TAP device with such offloads (TUN_F_* bits). */
export const hasSegmentationOffload = (offloads: number): { tcp: boolean; udp: boolean } => ({
  tcp: (offloads & TCP_BOTH) === TCP_BOTH,
  udp: (offloads & c.TUN_F_USO4) !== 0,
});

/** The names of TUN_F_* bits without that, as linux/if_tun.h has them. */
export const offloadNames = (offloads: number): string[] =>
  OFFLOAD_NAMES.filter(([bit]) => (offloads & bit) !== 0).map(([, name]) => name);

const OFFLOAD_NAMES = [
  [c.TUN_F_CSUM, "CSUM"],
  [c.TUN_F_TSO4, "TSO4"],
  [c.TUN_F_TSO6, "TSO6"],
  [c.TUN_F_TSO_ECN, "TSO_ECN"],
  [c.TUN_F_USO4, "USO4"],
  [c.TUN_F_USO6, "USO6"],
] as const;

function whyNotOpened(errno: number): string {
  switch (errno) {
    case c.ENOENT:
      return "it does not exist; load the tun module on the host (modprobe tun), or hand the device on to this container";
    case c.ENODEV:
    case c.ENXIO:
      return "the kernel has no TUN/TAP support; load the tun module on the host (modprobe tun)";
    case c.EACCES:
      return "permission denied; give this user access to it (the usual mode is 0666)";
    case c.EPERM:
      return "a device policy forbids it; allow character device 10:200 in the cgroup of this process";
    default:
      return errnoName(errno);
  }
}

function whyNotAttached(errno: number): string {
  switch (errno) {
    case c.EPERM:
      return "this needs CAP_NET_ADMIN in the user namespace that owns the network namespace";
    case c.EBUSY:
      return "an interface of this name exists already, perhaps that of another engine; end or remove it, or choose another name";
    case c.EINVAL:
      return "the name is not allowed";
    default:
      return errnoName(errno);
  }
}
