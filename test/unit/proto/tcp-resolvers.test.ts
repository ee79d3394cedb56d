import { beforeEach, expect, test } from "@jest/globals";
import { Stack } from "../../../src/proto/stack.ts";
import { IpProtocol } from "../../../src/wire/ipv4.ts";
import { TCP_LENGTH, TcpFlag, writeTcp } from "../../../src/wire/tcp.ts";
import { FakeNet, ip } from "../../support/fake-net.ts";
import { ipFrame } from "../../support/frames.ts";

const EINPROGRESS = -115;
const RESOLVER = "192.0.2.53";
const [FIRST, SECOND, THIRD] = ["198.51.100.53", "198.51.100.54", "198.51.100.55"];

let net: FakeNet;
let stack: Stack;

beforeEach(() => {
  net = new FakeNet();
  net.rules.v4.dnsMatch = ip(RESOLVER);
  net.rules.dnsServers = [FIRST].map(ip);
  net.host.script("connect", EINPROGRESS, EINPROGRESS, EINPROGRESS);
  stack = new Stack(net);
});

function connect(sourcePort = 5000): void {
  const syn = new Uint8Array(TCP_LENGTH);
  writeTcp(new DataView(syn.buffer), 0, sourcePort, 53, 1000, 0, TCP_LENGTH, TcpFlag.Syn, 65_535);
  stack.frame(net.plan.receiveAt, net.place(ipFrame(RESOLVER, IpProtocol.Tcp, syn)));
  stack.endOfFrames();
  stack.endOfCycle();
}

function wait(milliseconds: number): void {
  net.advance(milliseconds);
  stack.startOfCycle();
  stack.endOfCycle();
}

const tried = (): string[] => net.host.sockets.map(({ connected, closed }) => `${connected} ${closed}`);

test("the only resolver has all the time that it wants", () => {
  connect();
  for (let i = 0; i < 30; i++) wait(2_000);
  expect(tried()).toEqual([`${FIRST}:53 open`]);
});

test("once there is another list, those on it are tried", () => {
  connect();
  net.rules.dnsServers = [SECOND, THIRD].map(ip);
  wait(2_200);
  wait(2_200);
  wait(2_200);
  expect(tried()).toEqual([`${FIRST}:53 reset`, `${SECOND}:53 reset`, `${THIRD}:53 open`]);
  expect(net.flows.active).toBe(1);
});

test("a list in another order leaves none out, and none is tried twice", () => {
  net.rules.dnsServers = [FIRST, SECOND].map(ip);
  connect();
  net.rules.dnsServers = [SECOND, FIRST].map(ip);
  for (let i = 0; i < 10; i++) wait(2_200);
  expect(tried()).toEqual([`${FIRST}:53 reset`, `${SECOND}:53 open`]);
});

test("when there is no socket for the next one, the container may try again", () => {
  net.rules.dnsServers = [FIRST, SECOND].map(ip);
  connect();
  net.host.script("openTcp", -24);
  wait(2_200);
  expect([tried(), net.flows.active]).toEqual([[`${FIRST}:53 reset`], 0]);
  connect();
  expect(tried()).toEqual([`${FIRST}:53 reset`, `${SECOND}:53 open`]);
});
