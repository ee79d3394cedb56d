/**
 * Exercises a netlink socket in a namespace of its own, which must have a link "wan0", and prints what happened.
 * Changes are made with ip(8).
 */
import { execFileSync } from "node:child_process";
import { MAIN_TABLE } from "../../../src/base/network.ts";
import { AF_NETLINK, SOCK_RAW } from "../../../src/ffi/constants.ts";
import { getsockname, sendto, socket } from "../../../src/ffi/libc-socket.ts";
import { allocate } from "../../../src/ffi/memory.ts";
import { Netlink } from "../../../src/kernel/netlink.ts";
import {
  addRoute,
  changeAddress,
  changeRoute,
  deleteAddress,
  deleteRoute,
  dumpAddresses,
  dumpLinks,
  dumpNeighbours,
  dumpRoutes,
  dumpRules,
  RtnetlinkGroup,
} from "../../../src/kernel/rtnetlink.ts";
import { encodeNetlinkMessage } from "../../../src/wire/netlink-message.ts";
import { decodeAddress, RtnetlinkType } from "../../../src/wire/rtnetlink-message.ts";
import { nexthop, route } from "../host-network.ts";

const ip = (script: string): void => {
  execFileSync("ip", ["-batch", "-"], { input: script });
};
const netlink = Netlink.open();
const events = Netlink.open();
events.subscribe(RtnetlinkGroup.Ipv4Address);
const wan = dumpLinks(netlink).find((link) => link.name === "wan0")?.index ?? 0;
const heard: string[] = [];
const drain = (): string =>
  events.drain((message) => {
    const address = decodeAddress(message.body);
    if (address !== undefined) heard.push(`${message.type} ${address.address}`);
  });

ip("addr add 198.51.100.5/24 dev wan0\naddr del 198.51.100.5/24 dev wan0\naddr add 198.51.100.6/24 dev wan0");
const quiet = [drain(), drain()];

/** Another process of the namespace may write to our socket; what it says must not count. */
const memory = allocate(256);
const LENGTH_AT = 128;
memory.view.setInt32(LENGTH_AT, 12, true);
getsockname(events.fd, memory.address, memory.address + LENGTH_AT);
const forged = Uint8Array.from([
  2,
  24,
  0,
  0,
  wan,
  0,
  0,
  0,
  8,
  0,
  2,
  0,
  203,
  0,
  113,
  66,
  8,
  0,
  1,
  0,
  203,
  0,
  113,
  66,
]);
const message = encodeNetlinkMessage({
  type: RtnetlinkType.NewAddress,
  flags: 0,
  sequence: 0,
  port: 0,
  body: forged,
});
memory.bytes.set(message, 16);
const stranger = socket(AF_NETLINK, SOCK_RAW, 0);
const sent = sendto(stranger, memory.address + 16, message.length, 0, memory.address, 12);
const afterForgery = drain();

ip(Array.from({ length: 2_000 }, (_, i) => `addr add 203.0.${i >> 8}.${i & 255}/32 dev wan0`).join("\n"));
const overflow = drain();
const afterOverflow = drain();
const many = dumpAddresses(netlink, wan).length;

let refusal = "";
try {
  addRoute(netlink, route(wan, "192.0.2.0/24", "192.0.2.77"));
} catch (cause) {
  refusal = String(cause);
}

const first = route(wan, "192.0.2.0/24", "198.51.100.1");
addRoute(netlink, first);
changeRoute(netlink, { ...first, nexthops: [nexthop(wan, "198.51.100.2")] });
const gateways = (): string[] =>
  dumpRoutes(netlink, MAIN_TABLE).flatMap((each) =>
    each.destination === "192.0.2.0" ? each.nexthops.map((hop) => hop.gateway) : [],
  );
const changedRoute = gateways();
deleteRoute(netlink, { ...first, nexthops: [nexthop(wan, "198.51.100.2")] });
const deletedRoute = gateways();

const address = dumpAddresses(netlink, wan).find((each) => each.address === "198.51.100.6");
if (address !== undefined) changeAddress(netlink, { ...address, metric: 77 });
const metrics = dumpAddresses(netlink).flatMap((each) =>
  each.address === "198.51.100.6" ? [each.metric] : [],
);
if (address !== undefined) deleteAddress(netlink, address);

ip(
  "neigh add 198.51.100.9 lladdr 02:00:00:00:00:02 dev wan0\nrule add from 198.51.100.0/24 table 1000 pref 99",
);
const found = {
  heard: heard.slice(0, 3),
  sent: sent === message.length,
  forgeryHeard: heard.includes("20 203.0.113.66"),
  quiet,
  afterForgery,
  overflow,
  afterOverflow,
  many,
  refusal,
  changedRoute,
  deletedRoute,
  metrics,
  addressGone: !dumpAddresses(netlink, wan).some((each) => each.address === "198.51.100.6"),
  noTable: dumpRoutes(netlink, 4_711),
  neighbours: dumpNeighbours(netlink).filter((each) => each.address === "198.51.100.9"),
  rules: dumpRules(netlink).filter((each) => each.priority === 99),
};
netlink.close();
events.close();
process.stdout.write(JSON.stringify(found));
