/**
 * Plays an engine that was taken over: takes the netlink sockets of engine argv[2], becomes who its main thread is, with
 * the same capabilities and the same system calls, and prints, as JSON, how attempts on the container's interface (index
 * argv[3]) and on the host's network end. argv[4] is "guarded" where there is a guard. It has to be started in the
 * engine's user and network namespace.
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import * as c from "../../../src/ffi/constants.ts";
import { check, errnoName } from "../../../src/ffi/errno.ts";
import { ioctl, prctl } from "../../../src/ffi/libc.ts";
import { sendto, setsockopt, socket } from "../../../src/ffi/libc-socket.ts";
import { allocate } from "../../../src/ffi/memory.ts";
import { becomeUser, forbidNewPrivileges, limitCapabilities } from "../../../src/kernel/caps.ts";
import { Netlink } from "../../../src/kernel/netlink.ts";
import { openProcess, takeDescriptor } from "../../../src/kernel/process.ts";
import { addAddress, addRoute, changeLink, deleteRoute, dumpLinks } from "../../../src/kernel/rtnetlink.ts";
import { limitSystemCalls } from "../../../src/kernel/seccomp.ts";
import {
  type Attribute,
  encodeBody,
  encodeNetlinkMessage,
  NetlinkFlag,
} from "../../../src/wire/netlink-message.ts";
import { encodeAddress, RtnetlinkType } from "../../../src/wire/rtnetlink-message.ts";
import { address, route } from "../host-network.ts";

/** Where an engine has them; see runtime/engine-process.ts. */
const HOST_NETLINK = 5;
const CONTAINER_NETLINK = 6;
const GUARD = 12;
/* linux/if_link.h, linux/net_namespace.h, linux/sockios.h, linux/netfilter_ipv4/ip_tables.h */
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_PID = 19;
const IFLA_INFO_KIND = 1;
const RTM_NEWNSID = 88;
const NETNSA_NSID = 1;
const NETNSA_PID = 2;
const SIOCSIFMTU = 0x8922;
const IPT_SO_SET_REPLACE = 64;

const LOOPBACK = 1;
const HOST_ADDRESS = address(LOOPBACK, "198.51.100.77/32");
const ADD = NetlinkFlag.Create | NetlinkFlag.Exclusive;
const ADDRESS_AT = 2048;
const memory = allocate(4096);

/** "ok", or the name of an error. */
function outcome(attempt: () => number | void): string {
  try {
    const result = attempt() ?? 0;
    return result < 0 ? errnoName(result) : "ok";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

/** A request that names the kernel as its receiver: then only the sender's power counts, not that of who made the socket. */
function askByName(fd: number, type: number, body: Uint8Array): number {
  const flags = NetlinkFlag.Request | NetlinkFlag.Ack | ADD;
  const request = encodeNetlinkMessage({ type, flags, sequence: 0x7fffffff, port: 0, body });
  memory.bytes.fill(0);
  memory.bytes.set(request);
  memory.view.setUint16(ADDRESS_AT, c.AF_NETLINK, true);
  const sent = sendto(fd, memory.address, request.length, 0, memory.address + ADDRESS_AT, 12);
  if (sent < 0) return sent;
  const answer = Buffer.alloc(4096);
  readSync(fd, answer);
  return answer.readInt32LE(16);
}

/** A new link in the host's network namespace. */
function encodeLink(kind: string): Uint8Array {
  const attributes: Attribute[] = [
    [IFLA_IFNAME, "taken0"],
    [IFLA_LINKINFO, [[IFLA_INFO_KIND, kind]]],
    [IFLA_NET_NS_PID, process.pid],
  ];
  return encodeBody(new Uint8Array(16), attributes);
}

/** A struct ifreq of an interface with a number in it. */
function interfaceRequest(name: string, value: number): number {
  memory.bytes.fill(0);
  memory.bytes.set(Buffer.from(name));
  memory.view.setInt32(16, value, true);
  return memory.address;
}

const openSocket = (domain: number, type: number, protocol = 0): number =>
  check(socket(domain, type, protocol), "socket");

interface Taken {
  hostFd: number;
  containerFd: number;
  /** -1 for none. */
  guardFd: number;
}

function attempts(
  { hostFd, containerFd, guardFd }: Taken,
  index: number,
): Record<string, () => number | void> {
  const host = new Netlink(hostFd);
  const container = new Netlink(containerFd, guardFd);
  const own = Netlink.open();
  const inside = route(index, "203.0.113.128/25");
  const datagram = openSocket(c.AF_INET, c.SOCK_DGRAM);
  return {
    readsContainer: () => void dumpLinks(container),
    addsRoute: () => addRoute(container, inside),
    removesRoute: () => deleteRoute(container, inside),
    changesMtu: () => changeLink(container, index, { mtu: 1_400 }),
    hostAddress: () => addAddress(host, HOST_ADDRESS),
    hostAddressByName: () => askByName(hostFd, RtnetlinkType.NewAddress, encodeAddress(HOST_ADDRESS)),
    hostAddressOnOwnSocket: () => addAddress(own, HOST_ADDRESS),
    hostLink: () => changeLink(own, LOOPBACK, { mtu: 1_400 }),
    newHostLink: () => void container.request(RtnetlinkType.NewLink, ADD, encodeLink("bridge")),
    newHostLinkByName: () => askByName(containerFd, RtnetlinkType.NewLink, encodeLink("bridge")),
    newHostLinkOnOwnSocket: () => void own.request(RtnetlinkType.NewLink, ADD, encodeLink("bridge")),
    nameForHost: () =>
      void container.request(
        RTM_NEWNSID,
        0,
        encodeBody(new Uint8Array(4), [
          [NETNSA_NSID, 7],
          [NETNSA_PID, process.pid],
        ]),
      ),
    ioctl: () => ioctl(datagram, SIOCSIFMTU, interfaceRequest("lo", 1_400)),
    netfilter: () => setsockopt(datagram, c.IPPROTO_IP, IPT_SO_SET_REPLACE, memory.address, 200),
    tap: () =>
      ioctl(openSync("/dev/net/tun", "r+"), c.TUNSETIFF, interfaceRequest("taken1", c.IFF_TAP | c.IFF_NO_PI)),
    raw: () => openSocket(c.AF_INET, c.SOCK_RAW, c.IPPROTO_ICMP),
    sysctl: () => closeSync(openSync("/proc/sys/net/ipv4/ip_forward", "r+")),
  };
}

const number = (status: string, field: string): string =>
  new RegExp(`^${field}:\\s*(\\w+)`, "m").exec(status)![1];

function main(): void {
  const engine = Number(process.argv[2]);
  const status = readFileSync(`/proc/${engine}/status`, "utf8");
  const pidfd = openProcess(engine);
  const hostFd = takeDescriptor(pidfd, HOST_NETLINK);
  const containerFd = takeDescriptor(pidfd, CONTAINER_NETLINK);
  const guardFd = process.argv[4] === "guarded" ? takeDescriptor(pidfd, GUARD) : -1;
  const [uid, gid] = [Number(number(status, "Uid")), Number(number(status, "Gid"))];
  const permitted = BigInt(`0x${number(status, "CapPrm")}`);
  const capabilities = Array.from({ length: 64 }, (_, i) => i).filter((i) => (permitted >> BigInt(i)) & 1n);
  if (uid !== 0) becomeUser({ uid, gid });
  // In the user namespace of an ordinary user, who may not change groups.
  else if (process.geteuid!() !== 0) {
    process.setgid!(gid);
    process.setuid!(uid);
  }
  limitCapabilities(capabilities);
  forbidNewPrivileges();
  limitSystemCalls();
  check(prctl(c.PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl PR_SET_DUMPABLE");
  const tried = Object.entries(attempts({ hostFd, containerFd, guardFd }, Number(process.argv[3]))).map(
    ([name, attempt]) => [name, outcome(attempt)],
  );
  process.stdout.write(`${JSON.stringify({ capabilities, ...Object.fromEntries(tried) })}\n`);
}

main();
