/**
 * In a network namespace of its own: sends datagrams to addresses of all kinds, and prints, as JSON, what a listener for
 * both families saw of each (who sent it, to where) and from where its answer came.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { formatIp, isIpv4, parseIp } from "../../../src/base/address.ts";
import * as c from "../../../src/ffi/constants.ts";
import { check } from "../../../src/ffi/errno.ts";
import { Pif } from "../../../src/flow/state.ts";
import { endpointPort, INITIATING, oursPort, packKind, SideWord } from "../../../src/flow/table.ts";
import { openListener } from "../../../src/kernel/listen.ts";
import { setOption } from "../../../src/kernel/socket.ts";
import { bench } from "../loopback.ts";

const PORT = 5000;
const AT = 65_536;
/** @see linux/in6.h */
const IPV6_MULTICAST_IF = 17;

const ip = (text: string): string => execFileSync("ip", text.split(" "), { encoding: "utf8" });
ip("link set lo up");
ip("link add d0 type veth peer name d1");
// What is sent to groups shall not come in a second time.
writeFileSync("/proc/sys/net/ipv6/conf/d1/disable_ipv6", "1");
ip("link set d1 up");
ip("link set d0 up multicast on addrgenmode none");
ip("address add 198.51.100.1/24 dev d0");
ip("address add 198.51.100.2/24 dev d0");
for (const address of ["2001:db8::1", "2001:db8::2", "fe80::1", "fe80::2"]) {
  ip(`-6 address add ${address}/64 dev d0 nodad`);
}
const links: unknown = JSON.parse(ip("-j link show d0"));
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- ip(8) says so
const scope = (links as { ifindex: number }[])[0].ifindex;

const b = bench({ scope });
const { host, table } = b;
const open = (v6: boolean, port: number, address?: Uint32Array): number =>
  check(
    openListener({ protocol: c.IPPROTO_UDP, address, v6, port, device: undefined, freebind: false, scope }),
    "listen",
  );
const listener = open(true, PORT);

/** Makes a flow of what is in the key, and gives its first side. */
function sideOfKey(): number {
  const flow = table.allocate();
  table.key[SideWord.Kind] = packKind(c.IPPROTO_UDP, Pif.Host);
  table.initiate(flow);
  table.target(flow);
  table.setType(flow, 1);
  table.activate(flow);
  return (flow << 1) | INITIATING;
}

/** Waits for a datagram, for the kernel may deliver it a moment later. */
function receive(fd: number, what: string): void {
  const deadline = performance.now() + 1000;
  let result = -c.EAGAIN;
  while (result === -c.EAGAIN && performance.now() < deadline) result = host.receiveFrom(fd, AT, 100);
  check(result, "recvmsg", what);
}

/** Sends from one address to another, answers, and tells what was seen. */
function exchange(from: string, to: string): [string, string] {
  const source = parseIp(from)!;
  const fd = open(!isIpv4(source), 0, source);
  setOption(fd, c.SOL_SOCKET, c.SO_BROADCAST, 1);
  if (!isIpv4(source)) check(setOption(fd, c.IPPROTO_IPV6, IPV6_MULTICAST_IF, scope), "setsockopt");
  const { key } = table;
  key.fill(0);
  key.set(source, SideWord.Ours);
  key.set(parseIp(to)!, SideWord.Endpoint);
  key[SideWord.Ports] = PORT;
  host.part(0, AT, 5);
  check(host.sendFrom(fd, 1, 0, sideOfKey()), "sendmsg", to);
  receive(listener, to);
  const seen = `${formatIp(key, SideWord.Endpoint)} > ${formatIp(key, SideWord.Ours)} ${oursPort(key, 0)}`;
  check(host.sendFrom(listener, 1, 0, sideOfKey()), "sendmsg", `answer of ${to}`);
  receive(fd, `answer of ${to}`);
  if (endpointPort(key, 0) !== PORT) throw new Error("the answer came from another port");
  return [seen, formatIp(key, SideWord.Endpoint)];
}

const result = {
  second: exchange("198.51.100.1", "198.51.100.2"),
  broadcast: exchange("198.51.100.1", "198.51.100.255"),
  everybody: exchange("198.51.100.1", "255.255.255.255"),
  group: exchange("2001:db8::1", "ff02::1"),
  second6: exchange("2001:db8::1", "2001:db8::2"),
  linkLocal: exchange("fe80::1", "fe80::2"),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
