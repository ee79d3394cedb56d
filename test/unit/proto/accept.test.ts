import { beforeEach, expect, test } from "@jest/globals";
import { Pif } from "../../../src/flow/state.ts";
import { describeFlow } from "../../../src/flow/describe.ts";
import type { ListenerSlot } from "../../../src/forward/listeners.ts";
import type { PortRule } from "../../../src/forward/port-rule.ts";
import { Acceptor } from "../../../src/proto/accept.ts";
import { Output } from "../../../src/proto/output.ts";
import { Splice } from "../../../src/proto/splice.ts";
import { Tcp } from "../../../src/proto/tcp/tcp.ts";
import { IpProtocol } from "../../../src/wire/ipv4.ts";
import { FakeNet, type FakeNetOptions, ip } from "../../support/fake-net.ts";
import { portRule } from "../../support/port-rule.ts";

const EMFILE = -24;
const ENOBUFS = -105;
/** Clients that one listener may bring in one turn. */
const TURN = 32;
/** No client comes from there. */
const LAST_PORT = 65_535;

let net: FakeNet;
let acceptor: Acceptor;

function start(options: FakeNetOptions = {}): void {
  net = new FakeNet({ capacity: 512, ...options });
  const tcp = new Tcp(net, new Output(net));
  acceptor = new Acceptor(net, tcp, new Splice(net));
}
beforeEach(() => start());

/** Opens a listener on a port; the rule leads to port 80 unless told. */
function listen(port: number, rule: Partial<PortRule> = {}): ListenerSlot {
  const pif = rule.pif ?? Pif.Host;
  const socket = net.host.listen("tcp", true, pif);
  return net.listeners.add(socket.fd, port, portRule({ first: port, targetFirst: 80, ...rule }));
}

/** Lets clients come to a listener, each from a port of its own. */
function arrive(slot: ListenerSlot, count: number, from = "203.0.113.5", to = "198.51.100.1"): void {
  const socket = net.host.sockets.find(({ fd }) => fd === net.listeners.fd(slot))!;
  const first = 10_000 + 1000 * slot;
  for (let i = 0; i < count; i++) {
    const client = { from: ip(from), fromPort: first + i, to: ip(to), toPort: net.listeners.port(slot) };
    socket.waiting.push(client);
  }
  acceptor.listenerEvent(slot);
}

const waiting = (slot: ListenerSlot): number =>
  net.host.sockets.find(({ fd }) => fd === net.listeners.fd(slot))!.waiting.length;
const flows = (): string[] => net.openFlows().map((flow) => describeFlow(net.flows, flow));
/** The newest socket, which is the last that was accepted or opened. */
const newest = (): string => net.host.sockets.at(-1)!.closed;

test("listeners take turns: one with many clients does not keep the others waiting", () => {
  const [busy, quiet] = [listen(8080), listen(8081)];
  arrive(busy, 100);
  arrive(quiet, 1);
  acceptor.service();
  expect([waiting(busy), waiting(quiet)]).toEqual([100 - TURN, 0]);
  expect(acceptor.isBusy).toBe(true);
  for (let turns = 0; acceptor.isBusy; turns++) {
    expect(turns).toBeLessThan(5);
    acceptor.service();
  }
  expect(waiting(busy)).toBe(0);
  expect(flows()).toHaveLength(101);
});

test("a listener that is about to be closed gives all its clients at once", () => {
  const slot = listen(8080);
  arrive(slot, 100);
  acceptor.drain(slot);
  expect([waiting(slot), flows().length]).toEqual([0, 100]);
  net.listeners.retire(slot);
  acceptor.service();
  expect(acceptor.isBusy).toBe(false);
});

test("an event that comes again while the listener has its turn ahead counts once", () => {
  const slot = listen(8080);
  arrive(slot, 1);
  acceptor.listenerEvent(slot);
  acceptor.service();
  expect(acceptor.isBusy).toBe(false);
  arrive(slot, 1);
  acceptor.service();
  expect(waiting(slot)).toBe(0);
});

test("a client becomes a flow from the host to the TAP", () => {
  arrive(listen(8080), 1);
  acceptor.service();
  expect(flows()).toEqual([
    "flow 0 (TCP): HOST [203.0.113.5]:10000 -> [198.51.100.1]:8080 => TAP [203.0.113.5]:10000 -> [192.0.2.10]:80",
  ]);
  const socket = net.host.sockets.at(-1)!;
  expect(socket.side).toBe(0);
  expect(net.host.calls.slice(-2)).toEqual([`preparePeek ${socket.fd}`, `watch ${socket.fd}`]);
});

test("a client on the host's loopback goes past the TAP", () => {
  arrive(listen(8080), 1, "127.0.0.1", "127.0.0.1");
  acceptor.service();
  expect(flows()).toEqual([
    "flow 0 (spliced TCP): HOST [127.0.0.1]:10000 -> [127.0.0.1]:8080 => SPLICE [0.0.0.0]:0 -> [192.0.2.10]:80",
  ]);
  expect(net.takeFrames()).toEqual([]);
});

test("a client on the container's loopback goes to the host's", () => {
  arrive(listen(8080, { pif: Pif.Splice }), 1, "::1", "::1");
  acceptor.service();
  expect(flows()).toEqual([
    "flow 0 (spliced TCP): SPLICE [::1]:10000 -> [::1]:8080 => HOST [::1]:0 -> [::1]:80",
  ]);
});

test("a client in the container that is not on its loopback is reset", () => {
  arrive(listen(8080, { pif: Pif.Splice }), 1, "192.0.2.10", "192.0.2.10");
  acceptor.service();
  expect(newest()).toBe("reset");
  expect(net.counters.snapshot()).toEqual({ dropForward: 1 });
});

test("a client that cannot be answered inside is reset", () => {
  net.rules.v4.seen.fill(0);
  arrive(listen(8080), 1);
  acceptor.service();
  expect(newest()).toBe("reset");
  expect(net.counters.snapshot()).toEqual({ dropForward: 1 });
  expect(net.flows.active).toBe(0);
});

test("a listener that was closed meanwhile is left alone, and so is a datagram socket in its slot", () => {
  const slot = listen(8080);
  acceptor.listenerEvent(slot);
  net.listeners.retire(slot);
  acceptor.service();
  acceptor.listenerEvent(slot);
  expect(listen(8080, { protocol: IpProtocol.Udp })).toBe(slot);
  acceptor.service();
  expect(acceptor.isBusy).toBe(false);
});

test("clients of a full table are reset, and a few messages say why", () => {
  start({ capacity: 2 });
  const slot = listen(8080);
  arrive(slot, 30);
  acceptor.service();
  expect(flows()).toHaveLength(2);
  expect(net.counters.snapshot()).toMatchObject({ dropFlowTableFull: 28 });
  expect(net.host.sockets.filter(({ closed }) => closed === "reset")).toHaveLength(28);
  const message = "no room for another flow: clients are refused until others end (see --flows)";
  expect(net.messages).toEqual(Array(5).fill(message));
  expect([waiting(slot), acceptor.isBusy]).toEqual([0, false]);
});

test("descriptors that are used up keep nobody from being told, and do not stop the listener", () => {
  const slot = listen(8080);
  net.host.script("accept", ...Array<number>(40).fill(EMFILE));
  arrive(slot, 1);
  acceptor.service();
  acceptor.service();
  expect(waiting(slot)).toBe(0);
  expect(net.counters.snapshot()).toMatchObject({ dropSocketLimit: 40, flowsOpened: 1 });
  expect(net.messages).toHaveLength(5);
});

test("a listener that fails does not keep the loop busy, and is tried again", () => {
  const slot = listen(8080);
  net.host.script("accept", ENOBUFS);
  arrive(slot, 1);
  acceptor.service();
  expect([acceptor.isBusy, waiting(slot), acceptor.nextDelay()]).toEqual([false, 1, 50]);
  net.host.nowMs += 49;
  acceptor.expire();
  expect(acceptor.isBusy).toBe(false);
  net.host.nowMs += 1;
  acceptor.expire();
  acceptor.service();
  expect([waiting(slot), acceptor.nextDelay()]).toEqual([0, -1]);
});

test("one that fails while it is about to be closed is closed without its clients", () => {
  const slot = listen(8080);
  arrive(slot, 1);
  net.host.script("accept", ENOBUFS);
  acceptor.drain(slot);
  net.listeners.retire(slot);
  net.host.nowMs += 50;
  acceptor.expire();
  acceptor.service();
  expect([acceptor.isBusy, acceptor.nextDelay()]).toEqual([false, -1]);
});

test("a client gets another source port until there is none to try", () => {
  const rule = { target: ip("192.0.2.10") };
  const slots = Array.from({ length: 65 }, (_, i) => listen(8000 + i, rule));
  for (const slot of slots) {
    const socket = net.host.sockets.find(({ fd }) => fd === net.listeners.fd(slot))!;
    const to = { to: ip("198.51.100.1"), toPort: net.listeners.port(slot) };
    socket.waiting.push({ from: ip("203.0.113.5"), fromPort: LAST_PORT, ...to });
    acceptor.listenerEvent(slot);
  }
  acceptor.service();
  expect(flows()).toHaveLength(64);
  expect(flows().at(-1)).toContain(`TAP [203.0.113.5]:${LAST_PORT - 63} -> [192.0.2.10]:80`);
  expect(newest()).toBe("reset");
  expect(net.counters.snapshot()).toMatchObject({ dropForward: 1 });
});

test("a socket that cannot be watched is reset", () => {
  net.host.script("watch", ENOBUFS);
  arrive(listen(8080), 1);
  acceptor.service();
  expect(newest()).toBe("reset");
  net.flows.sweep();
  expect(net.flows.active).toBe(0);
  expect(net.takeFrames()).toEqual([]);
});
