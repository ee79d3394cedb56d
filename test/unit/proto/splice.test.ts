import { beforeEach, expect, test } from "@jest/globals";
import { Pif } from "../../../src/flow/state.ts";
import { ERR, FakeSplice, HUP, IN, OUT, PRI, RDHUP, sentOn } from "../../support/fake-splice.ts";
import { pattern } from "../../support/frames.ts";

const EAGAIN = -11;
const EMFILE = -24;
const ENETUNREACH = -101;
const ECONNREFUSED = 111;
const MIB = 1024 * 1024;

let fake: FakeSplice;
beforeEach(() => {
  fake = new FakeSplice();
});

test.each([
  ["127.0.0.1", Pif.Splice, false],
  ["::1", Pif.Splice, true],
  ["127.0.0.1", Pif.Host, false],
  ["::1", Pif.Host, true],
])("a connection from %s goes on with a socket of the target's pif and family", (address, pif, v6) => {
  const { client, server } = fake.accept(address, pif);
  expect(server).toMatchObject({ pif, v6, connected: `${address}:8080`, bound: "" });
  expect([client.side & 1, server.side & 1]).toEqual([0, 1]);
  const fd = server.fd;
  expect(fake.net.host.calls.slice(-6)).toEqual([
    `setLocal ${client.fd} true`,
    `watch ${client.fd}`,
    `openTcp ${fd}`,
    `setLocal ${fd} true`,
    `watch ${fd}`,
    `connect ${fd} ${address}:8080 = -115`,
  ]);
});

test("bytes go both ways, and no pipe stays", () => {
  const { client, server } = fake.establish();
  fake.arrive(client, pattern(300_000));
  fake.arrive(server, pattern(10));
  expect(sentOn(server)).toEqual(Buffer.from(pattern(300_000)));
  expect(sentOn(client)).toEqual(Buffer.from(pattern(10)));
  expect(fake.pipesTaken).toBe(0);
});

test("an idle connection has never had a pipe", () => {
  fake.establish();
  expect(fake.net.host.pipes.length).toBe(0);
});

test("what the client says before the connect has ended is kept for later", () => {
  const { client, server } = fake.accept();
  fake.arrive(client, pattern(100));
  expect(fake.net.host.pipes.length).toBe(0);
  fake.event(server, OUT);
  expect(sentOn(server).length).toBe(100);
});

test("a connect that ends at once needs no event", () => {
  fake.net.host.script("connect", 0);
  const { client, server } = fake.accept();
  fake.arrive(client, pattern(5));
  expect(sentOn(server).length).toBe(5);
});

test("a refused connect resets the client", () => {
  const { client, server } = fake.accept();
  fake.arrive(client, pattern(5));
  fake.breakOff(server, ECONNREFUSED);
  expect([client.closed, server.closed]).toEqual(["reset", "reset"]);
  expect(fake.net.counters.snapshot()).toMatchObject({ dropConnectFailed: 1, flowsClosed: 1 });
  expect(fake.net.openFlows()).toEqual([]);
});

test("a server that says something and breaks off before its connect was noticed is heard", () => {
  const { client, server } = fake.accept();
  server.arrive(pattern(7));
  fake.breakOff(server);
  expect(sentOn(client).length).toBe(7);
  expect(client.closed).toBe("reset");
});

test("a connect that fails at once resets the client", () => {
  fake.net.host.script("connect", ENETUNREACH);
  const { client } = fake.accept();
  fake.run();
  expect(fake.net.host.sockets.map(({ closed }) => closed)).toEqual(["open", "reset", "reset"]);
  expect(client.closed).toBe("reset");
  expect(fake.net.counters.snapshot()).toMatchObject({ dropConnectFailed: 1 });
});

test.each(["openTcp", "watch"] as const)(
  "without descriptors or epoll (%s) the client is reset",
  (method) => {
    fake.net.host.script(method, EMFILE);
    const { client } = fake.accept();
    expect(client.closed).toBe("reset");
    fake.run();
    expect(fake.net.openFlows()).toEqual([]);
    expect(fake.net.messages.length).toBe(method === "openTcp" ? 1 : 0);
  },
);

test("flows wait for the stock of sockets, in order and each family for itself", () => {
  fake.net.host.script("openTcp", EAGAIN, EAGAIN, EAGAIN);
  const [first, second, third] = [fake.accept(), fake.accept(), fake.accept("::1")];
  fake.arrive(first.client, pattern(3));
  fake.net.host.script("openTcp", EAGAIN);
  fake.splice.insideReady();
  expect([first, second, third].map(({ server }) => server?.connected)).toEqual([
    undefined,
    undefined,
    "::1:8080",
  ]);
  fake.splice.insideReady();
  expect(first.server.fd).toBeLessThan(second.server.fd);
  fake.event(first.server, OUT);
  expect(sentOn(first.server).length).toBe(3);
});

test("one who gives up while waiting does so when there is a socket, and whoever takes the row is not disturbed", () => {
  fake.net.host.script("openTcp", EAGAIN, EAGAIN);
  const { client } = fake.accept();
  fake.splice.shutdown();
  fake.run();
  expect(client.closed).toBe("reset");
  const next = fake.accept();
  expect(next.server).toBeUndefined();
  fake.splice.insideReady();
  const { fd } = next.server;
  fake.splice.insideReady();
  expect(next.server.fd).toBe(fd);
});

test("the end of a stream follows its last byte, and the other way goes on", () => {
  const { flow, client, server } = fake.establish();
  client.arrive(pattern(100));
  fake.end(client);
  expect(sentOn(server).length).toBe(100);
  expect([server.writeShut, client.writeShut]).toEqual([true, false]);
  fake.arrive(server, pattern(50));
  expect(sentOn(client).length).toBe(50);
  fake.end(server);
  expect([client.closed, server.closed]).toEqual(["closed", "closed"]);
  expect(fake.net.openFlows()).not.toContain(flow);
});

test("a slow receiver is waited for, and nothing more is read meanwhile", () => {
  const { client, server } = fake.establish();
  server.space = 1000;
  client.arrive(pattern(100_000));
  fake.end(client);
  expect(sentOn(server).length).toBe(1000);
  expect(client.stream.length).toBe(100_000 - 4096);
  expect(fake.pipesTaken).toBe(1);
  // It may be told of more, and of other things, as often as it pleases.
  fake.event(client, IN | OUT | RDHUP | HUP);
  fake.event(server, OUT);
  expect(client.stream.length).toBe(100_000 - 4096);
  // The other way is not held up.
  fake.arrive(server, pattern(10));
  expect(sentOn(client).length).toBe(10);
  expect(server.writeShut).toBe(false);
  fake.makeRoom(server);
  expect(sentOn(server)).toEqual(Buffer.from(pattern(100_000)));
  expect([fake.pipesTaken, server.writeShut]).toEqual([0, true]);
});

test.each([
  ["client", "server"],
  ["server", "client"],
] as const)("a reset of the %s comes behind what it said before", (one, other) => {
  const connection = fake.establish();
  connection[other].space = 500;
  connection[one].arrive(pattern(1000));
  fake.breakOff(connection[one]);
  expect(connection[other].closed).toBe("open");
  fake.makeRoom(connection[other]);
  expect(sentOn(connection[other]).length).toBe(1000);
  expect([connection.client.closed, connection.server.closed]).toEqual(["reset", "reset"]);
  expect(fake.pipesTaken).toBe(0);
});

test("a receiver that breaks off ends both, and what it said before is delivered", () => {
  const { client, server } = fake.establish();
  server.breakOff(104);
  server.arrive(pattern(20));
  fake.arrive(client, pattern(100_000));
  expect(sentOn(client).length).toBe(20);
  expect([client.closed, server.closed, fake.pipesTaken]).toEqual(["reset", "reset", 0]);
});

test("the error of a socket never passes for the end of its stream", () => {
  const { client, server } = fake.establish();
  // Sending takes the error away; then there is only an end to be received.
  server.breakOff(104);
  fake.arrive(client, pattern(10));
  expect(client.writeShut).toBe(false);
  expect(client.closed).toBe("reset");
});

test("a reset behind an end is a reset", () => {
  const { client, server } = fake.establish();
  fake.end(client);
  expect(server.writeShut).toBe(true);
  fake.breakOff(client, 32);
  expect([client.closed, server.closed]).toEqual(["reset", "reset"]);
});

test("a socket that refuses to be shut down is broken", () => {
  const { client, server } = fake.establish();
  fake.net.host.script("shutdownWrite", -107);
  server.arrive(pattern(3));
  fake.end(client);
  expect(sentOn(client).length).toBe(3);
  expect([client.closed, server.closed]).toEqual(["reset", "reset"]);
});

test("urgent data go with the others, wherever they are", () => {
  const { client, server } = fake.establish();
  client.arrive(pattern(10));
  client.urgentAt = 4;
  fake.event(client, IN | PRI | OUT);
  expect(sentOn(server)).toEqual(Buffer.from(pattern(10)));
  client.arrive(pattern(3));
  client.urgentAt = 2;
  fake.end(client);
  expect(sentOn(server).length).toBe(13);
  expect(server.writeShut).toBe(true);
});

test("an urgent byte of which no event has told yet is no end", () => {
  const { client, server } = fake.establish();
  client.arrive(pattern(5));
  client.urgentAt = 4;
  fake.end(client);
  expect([sentOn(server).length, server.writeShut]).toEqual([5, true]);
});

test("an urgent byte before a reset is delivered", () => {
  const { client, server } = fake.establish();
  client.arrive(pattern(5));
  client.urgentAt = 4;
  fake.breakOff(client);
  expect(sentOn(server).length).toBe(5);
  expect(server.closed).toBe("reset");
});

test("without a pipe bytes are passed on as the receiver takes them", () => {
  const { client, server } = fake.establish();
  fake.net.host.script("takePipe", ...Array<number>(20).fill(EMFILE));
  server.space = 5000;
  fake.arrive(client, pattern(10_000));
  expect(sentOn(server)).toEqual(Buffer.from(pattern(5000)));
  expect(client.stream.length).toBe(5000);
  client.streamEnded = true;
  fake.event(client, IN | RDHUP);
  expect(server.writeShut).toBe(false);
  fake.makeRoom(server);
  expect(sentOn(server)).toEqual(Buffer.from(pattern(10_000)));
  expect([server.writeShut, fake.pipesTaken]).toEqual([true, 0]);
});

test("what came before a reset is passed on without a pipe too", () => {
  const { client, server } = fake.establish();
  server.space = 0;
  fake.arrive(client, pattern(10));
  expect(fake.pipesTaken).toBe(1);
  server.arrive(pattern(20));
  fake.net.host.script("takePipe", EMFILE, EMFILE);
  fake.breakOff(server);
  expect(fake.pipesTaken).toBe(0);
  expect(sentOn(client).length).toBe(20);
  expect(client.closed).toBe("reset");
});

test("a flow with much to move takes turns with others", () => {
  const [greedy, other] = [fake.establish(), fake.establish()];
  greedy.client.arrive(new Uint8Array(3 * MIB));
  other.client.arrive(pattern(10));
  fake.splice.socketEvent(greedy.client.side, IN);
  fake.splice.socketEvent(other.client.side, IN);
  fake.splice.service();
  expect(sentOn(other.server).length).toBe(10);
  expect(sentOn(greedy.server).length).toBeLessThan(2 * MIB);
  expect(fake.splice.isBusy).toBe(true);
  fake.run();
  expect(sentOn(greedy.server).length).toBe(3 * MIB);
});

test("one stalled flow and fifty active ones do not disturb each other", () => {
  fake = new FakeSplice(64);
  const stalled = fake.establish();
  stalled.server.space = 0;
  fake.arrive(stalled.client, pattern(200_000));
  const active = Array.from({ length: 50 }, () => fake.establish());
  for (let round = 0; round < 10; round++)
    for (const { client } of active) fake.arrive(client, pattern(1000));
  for (const { server } of active) expect(sentOn(server).length).toBe(10_000);
  expect(fake.pipesTaken).toBe(1);
  expect(fake.splice.isBusy).toBe(false);
});

test("events that are out of date do nothing", () => {
  const { client, server } = fake.establish();
  for (const events of [OUT, IN, HUP, PRI, RDHUP, IN | OUT | HUP | RDHUP]) {
    fake.event(client, events);
    fake.event(server, events);
  }
  expect(fake.net.host.calls).toEqual([]);
  expect(fake.pipesTaken).toBe(0);
  fake.arrive(client, pattern(10));
  expect(sentOn(server).length).toBe(10);
});

test("an error event alone is a reset even where no call fails", () => {
  const { client, server } = fake.establish();
  fake.event(client, ERR);
  expect([client.closed, server.closed]).toEqual(["reset", "reset"]);
});

test("the end of the engine resets everything, also what is in pipes", () => {
  const { client, server } = fake.establish();
  server.space = 0;
  fake.arrive(client, pattern(10));
  fake.splice.shutdown();
  fake.run();
  expect([client.closed, server.closed, fake.pipesTaken]).toEqual(["reset", "reset", 0]);
});

test("a row used again knows nothing of its former flow", () => {
  const first = fake.establish();
  first.server.space = 0;
  first.client.arrive(pattern(10));
  first.client.urgentAt = 9;
  fake.event(first.client, IN | PRI);
  fake.splice.socketEvent(first.client.side, IN);
  fake.splice.shutdown();
  fake.net.flows.sweep();
  const next = fake.accept();
  expect(next.flow).toBe(first.flow);
  fake.run();
  fake.event(next.server, OUT);
  fake.end(next.client);
  expect(sentOn(next.server).length).toBe(0);
  expect(next.server.writeShut).toBe(true);
});
