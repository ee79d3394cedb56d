/** What a guard makes of requests: those of ours about the one interface pass as they are, and nothing else does. */
import { describe, expect, test } from "@jest/globals";
import { OUR_PROTOCOL } from "../../../src/base/network.ts";
import { endsAnswer, judge } from "../../../src/kernel/netlink-guard.ts";
import {
  type Attribute,
  encodeAttributes,
  encodeBody,
  encodeNetlinkMessage,
  NetlinkFlag,
  NetlinkType,
} from "../../../src/wire/netlink-message.ts";
import {
  encodeAddress,
  encodeLinkChange,
  linkDumpBody,
  RtnetlinkType,
} from "../../../src/wire/rtnetlink-message.ts";
import { encodeRoute } from "../../../src/wire/rtnetlink-route.ts";
import { address, nexthop, route } from "../../support/host-network.ts";

const INDEX = 7;
const OTHER = 8;
const CHANGE = NetlinkFlag.Request | NetlinkFlag.Ack;
const ADD = CHANGE | NetlinkFlag.Create | NetlinkFlag.Exclusive;
const DUMP = NetlinkFlag.Request | NetlinkFlag.Dump;
/** linux/if_link.h, linux/rtnetlink.h, linux/net_namespace.h */
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_PID = 19;
const IFLA_TARGET_NETNSID = 46;
const RTM_NEWNSID = 88;
const RTA_ENCAP_TYPE = 21;

const message = (type: number, flags: number, body: Uint8Array): Uint8Array =>
  encodeNetlinkMessage({ type, flags, sequence: 5, port: 0, body });
const withMore = (body: Uint8Array, ...attributes: Attribute[]): Uint8Array =>
  Buffer.concat([body, encodeAttributes(attributes)]);
const isPermitted = (datagram: Uint8Array): boolean => {
  const verdict = judge(datagram, INDEX);
  return verdict !== undefined && "request" in verdict;
};

const ADDRESSES = [
  address(INDEX, "198.51.100.5/24", { protocol: OUR_PROTOCOL, metric: 600, flags: 0x200 }),
  address(INDEX, "2001:db8::5/64", { protocol: OUR_PROTOCOL, flags: 0x02 | 0x20 | 0x80 }),
];
const ROUTES = [
  route(INDEX, "0.0.0.0/0", "198.51.100.1", { metric: 600, properties: { 2: 1_400 } }),
  route(INDEX, "::/0", "fe80::1"),
  route(INDEX, "203.0.113.0/24", "198.51.100.1", {
    nexthops: [nexthop(INDEX, "198.51.100.1", 3), nexthop(INDEX, "fe80::9")],
  }),
  { ...route(INDEX, "203.0.113.0/26"), type: 6, nexthops: [] },
];

describe("passes as it is:", () => {
  test.each([
    ["another MTU", message(RtnetlinkType.NewLink, CHANGE, encodeLinkChange(INDEX, { mtu: 1_400 }))],
    ["another name", message(RtnetlinkType.NewLink, CHANGE, encodeLinkChange(INDEX, { name: "wlan0" }))],
    ...ADDRESSES.flatMap((each) => [
      [`address ${each.address}`, message(RtnetlinkType.NewAddress, ADD, encodeAddress(each))] as const,
      [`no ${each.address}`, message(RtnetlinkType.DeleteAddress, CHANGE, encodeAddress(each))] as const,
    ]),
    ...ROUTES.flatMap((each) => [
      [`route ${each.destination}`, message(RtnetlinkType.NewRoute, ADD, encodeRoute(each))] as const,
      [
        `no route ${each.destination}`,
        message(RtnetlinkType.DeleteRoute, CHANGE, encodeRoute(each)),
      ] as const,
    ]),
  ])("%s", (_, datagram) => {
    expect(judge(datagram, INDEX)).toEqual({ request: datagram });
  });
});

const MTU = encodeLinkChange(INDEX, { mtu: 1_400 });
const ELSEWHERE: Attribute = [IFLA_NET_NS_PID, 1];

describe("is refused with EPERM:", () => {
  test.each([
    ["another interface", message(RtnetlinkType.NewLink, CHANGE, encodeLinkChange(OTHER, { mtu: 1_400 }))],
    [
      "any interface by its name",
      message(RtnetlinkType.NewLink, CHANGE, encodeLinkChange(0, { name: "lo" })),
    ],
    [
      "a link that goes down",
      message(RtnetlinkType.NewLink, CHANGE, encodeLinkChange(INDEX, { clearFlags: 1 })),
    ],
    ["a move to another namespace", message(RtnetlinkType.NewLink, CHANGE, withMore(MTU, ELSEWHERE))],
    [
      "a link of another namespace",
      message(RtnetlinkType.NewLink, CHANGE, withMore(MTU, [IFLA_TARGET_NETNSID, 1])),
    ],
    [
      "a new link",
      message(
        RtnetlinkType.NewLink,
        ADD,
        encodeBody(new Uint8Array(16), [[IFLA_LINKINFO, [[1, "bridge"]]], ELSEWHERE]),
      ),
    ],
    ["the same with SETLINK", message(RtnetlinkType.SetLink, CHANGE, MTU)],
    ["no link any more", message(RtnetlinkType.DeleteLink, CHANGE, encodeLinkChange(INDEX, {}))],
    ["a name for another namespace", message(RTM_NEWNSID, CHANGE, encodeBody(new Uint8Array(4), [[2, 1]]))],
    [
      "an address elsewhere",
      message(RtnetlinkType.NewAddress, ADD, encodeAddress(address(OTHER, "198.51.100.5/24"))),
    ],
    ["a route elsewhere", message(RtnetlinkType.NewRoute, ADD, encodeRoute(route(OTHER, "198.51.100.0/24")))],
    [
      "one of two next hops elsewhere",
      message(
        RtnetlinkType.NewRoute,
        ADD,
        encodeRoute(route(0, "198.51.100.0/24", "", { nexthops: [nexthop(INDEX, ""), nexthop(OTHER, "")] })),
      ),
    ],
    [
      "an encapsulation",
      message(
        RtnetlinkType.NewRoute,
        ADD,
        withMore(encodeRoute(ROUTES[0]), [RTA_ENCAP_TYPE, Uint8Array.of(2, 0)]),
      ),
    ],
    ["a question", message(RtnetlinkType.GetLink, DUMP, linkDumpBody())],
    ["a question that is acknowledged", message(RtnetlinkType.GetLink, CHANGE, linkDumpBody())],
    ["what the kernel does not answer", message(RtnetlinkType.NewLink, NetlinkFlag.Request, MTU)],
    ["an empty body", message(RtnetlinkType.NewAddress, ADD, new Uint8Array())],
  ])("%s", (_, datagram) => {
    expect(isPermitted(datagram)).toBe(false);
    // struct nlmsgerr of the same sequence number with -EPERM.
    const verdict = judge(datagram, INDEX);
    const refusal = verdict !== undefined && "refusal" in verdict ? verdict.refusal : new Uint8Array(36);
    expect(endsAnswer(refusal)).toBe(true);
    const view = new DataView(refusal.buffer, refusal.byteOffset);
    expect([view.getUint16(4, true), view.getUint32(8, true), view.getInt32(16, true)]).toEqual([2, 5, -1]);
  });
});

test("neither nothing nor two messages at once are looked at", () => {
  const good = message(RtnetlinkType.NewLink, CHANGE, MTU);
  expect(judge(new Uint8Array(), INDEX)).toBeUndefined();
  expect(judge(good.subarray(0, 15), INDEX)).toBeUndefined();
  expect(judge(Buffer.concat([good, good]), INDEX)).toBeUndefined();
});

test("bytes behind the message do not reach the kernel", () => {
  const good = message(RtnetlinkType.NewLink, CHANGE, MTU);
  expect(judge(Buffer.concat([good, Uint8Array.of(1, 2, 3, 4)]), INDEX)).toEqual({ request: good });
});

test("an answer ends with its acknowledgement", () => {
  const link = message(RtnetlinkType.NewLink, 2, MTU);
  expect(endsAnswer(link)).toBe(false);
  expect(endsAnswer(Buffer.concat([link, message(NetlinkType.Error, 0, new Uint8Array(20))]))).toBe(true);
});
