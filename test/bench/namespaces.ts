// The network of the bench. The bench itself runs in the namespace "outside", the role of the host:
//
//   container ---(the subject: TAP and engine)--- outside ---(link)--- peer
//   container ---(link)--- peer                                        for the subject "direct"
//
// A link is a veth pair of MTU 1500, or a delayed link. The peer has the address of the servers and, as a second
// address, the gateway: engines by default give the gateway's address to the host itself.
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { type Child, run, start, until } from "./process.ts";

/** Addresses per family: of the peer's servers, of outside, and of a container that is joined to the peer directly. */
export const ADDRESSES = {
  server: { 4: "198.51.100.1", 6: "2001:db8:1::1" },
  outside: { 4: "198.51.100.2", 6: "2001:db8:1::2" },
  direct: { 4: "203.0.113.2", 6: "2001:db8:2::2" },
} as const;
const GATEWAY = { 4: "198.51.100.254", 6: "2001:db8:1::fe" } as const;
const DIRECT_PEER = { 4: "203.0.113.1", 6: "2001:db8:2::1" } as const;

export interface Namespace {
  readonly pid: number;
  /** The arguments that run a command inside: `[...enter, "ip", "link"]`. */
  readonly enter: readonly string[];
  readonly stop: () => Promise<void>;
}

/** How two namespaces are joined, and with which congestion control the traffic between them runs. */
export interface LinkOptions {
  /** Round-trip time that the link adds, in ms; 0 is a veth pair. */
  readonly delay: number;
  readonly congestion: string;
}

export interface Link {
  readonly remove: () => Promise<void>;
}

/** The namespace of the peer: in our user namespace, as the machine at the other end of the cable. */
export async function openPeer(): Promise<Namespace> {
  return openNamespace(["unshare", "--net"], ["--net"]);
}

/** The namespace of a container: with a user namespace of its own, as a rootless runtime makes it. */
export async function openContainer(): Promise<Namespace> {
  return openNamespace(
    ["unshare", "--user", "--map-root-user", "--net"],
    ["--user", "--preserve-credentials", "--net"],
  );
}

async function openNamespace(unshare: readonly string[], kinds: readonly string[]): Promise<Namespace> {
  const ours = readlinkSync("/proc/self/ns/net");
  const holder = start([...unshare, "sleep", "3600"]);
  await until("a new network namespace", 5, () => {
    const comm = readFileSync(`/proc/${holder.pid}/comm`, "utf8").trim();
    return comm === "sleep" && readlinkSync(`/proc/${holder.pid}/ns/net`) !== ours;
  });
  const enter = ["nsenter", "--target", String(holder.pid), ...kinds, "--"];
  await run([...enter, "ip", "link", "set", "lo", "up"]);
  return { pid: holder.pid, enter, stop: () => holder.stop() };
}

/** Our own namespace. */
export const outside: Namespace = { pid: process.pid, enter: [], stop: () => Promise.resolve() };

/** Joins outside and peer. */
export async function joinOutside(peer: Namespace, options: LinkOptions): Promise<Link> {
  const near = { ...outside, name: "eth0" };
  const wire = await openWire(near, { ...peer, name: "eth0" }, options.delay);
  await configure(near, ADDRESSES.outside, GATEWAY, options);
  await configure({ ...peer, name: "eth0" }, ADDRESSES.server, undefined, options);
  const gateways = [`ip address add ${GATEWAY[4]}/32 dev eth0`];
  if (existsSync("/proc/net/if_inet6")) gateways.push(`ip address add ${GATEWAY[6]}/128 dev eth0 nodad`);
  await run([...peer.enter, "sh", "-ec", gateways.join("\n")]);
  return wire;
}

/** Joins a container to the peer without any engine. */
export async function joinDirect(container: Namespace, peer: Namespace, options: LinkOptions): Promise<Link> {
  const near = { ...container, name: "eth0" };
  const far = { ...peer, name: "direct0" };
  const wire = await openWire(near, far, options.delay);
  await configure(far, DIRECT_PEER, undefined, options);
  await configure(near, ADDRESSES.direct, DIRECT_PEER, options);
  return wire;
}

interface End {
  readonly pid: number;
  readonly enter: readonly string[];
  readonly name: string;
}

async function openWire(a: End, b: End, delay: number): Promise<Link> {
  const remove = async (): Promise<void> => void (await run([...b.enter, "ip", "link", "delete", b.name]));
  if (delay === 0) {
    const near = ["name", a.name, "netns", String(a.pid)];
    const far = ["name", b.name, "netns", String(b.pid)];
    await run(["ip", "link", "add", ...near, "type", "veth", "peer", ...far]);
    return { remove };
  }
  const relay = start(
    toolCommand("delay-link.ts", [String(a.pid), a.name, String(b.pid), b.name, String(delay / 2)]),
  );
  await ready(relay);
  return { remove: () => relay.stop() };
}

async function ready(relay: Child): Promise<void> {
  const first = until("the delayed link", 10, () => relay.output().stdout.includes("ready"));
  const ended = relay.exited.then(() =>
    Promise.reject(new Error(`no delayed link: ${relay.output().stderr}`)),
  );
  ended.catch(() => undefined);
  await Promise.race([first, ended]);
}

/** Addresses, link up, and routes whose congestion control is that of the case (see README.md, "Congestion control"). */
async function configure(
  end: End,
  address: Readonly<Record<4 | 6, string>>,
  gateway: Readonly<Record<4 | 6, string>> | undefined,
  options: LinkOptions,
): Promise<void> {
  const device = `dev ${end.name}`;
  const route = `${device} proto kernel congctl ${options.congestion}`;
  const commands = [
    `link set ${end.name} up mtu 1500`,
    `address add ${address[4]}/24 ${device} noprefixroute`,
    `route add ${address[4].replace(/\d+$/, "0/24")} ${route} scope link src ${address[4]}`,
  ];
  if (gateway !== undefined) commands.push(`route add default via ${gateway[4]} ${route}`);
  if (existsSync("/proc/net/if_inet6")) {
    commands.push(`-6 address add ${address[6]}/64 ${device} nodad noprefixroute`);
    commands.push(`-6 route add ${address[6].replace(/[\da-f]+$/, "/64")} ${route} metric 256`);
    if (gateway !== undefined) commands.push(`-6 route add default via ${gateway[6]} ${route} metric 1024`);
  }
  await run([...end.enter, "sh", "-ec", commands.map((command) => `ip ${command}`).join("\n")]);
}

/** A tool of this folder, run as a command. */
export function toolCommand(file: string, args: readonly string[]): string[] {
  return [process.execPath, "--import", "tsx", new URL(file, import.meta.url).pathname, ...args];
}
