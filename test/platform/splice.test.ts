/** The loopback bypass over the real kernel: programs/splice-relay.ts between our own clients and servers. */
import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import { recv, send } from "../../src/ffi/libc-socket.ts";
import { scratch } from "../../src/ffi/memory.ts";
import * as socket from "../../src/kernel/socket.ts";
import { program, startChild, type Child } from "./children.ts";
import { LOOPBACK4, listeningTcp, portOf } from "./loopback.ts";

const MIB = 1 << 20;
/** @see MSG_OOB in linux/socket.h */
const MSG_OOB = 1;
const block = Buffer.from(Array.from({ length: MIB }, (_, i) => (i * 31 + (i >> 8) * 7 + (i >> 16)) & 255));

let server: Server;
let relay: Child;
let relayPort: number;
/** Connections that have reached the server, in order. */
let arrived: Socket[];

beforeEach(async () => {
  arrived = [];
  server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (connection) => {
    connection.setNoDelay(true);
    arrived.push(connection);
  });
  server.listen(0, "127.0.0.1", 4096);
  await once(server, "listening");
  relay = await startChild(program("splice-relay.ts", String((server.address() as AddressInfo).port)));
  relayPort = Number(relay.line);
});
afterEach(async () => {
  for (const connection of arrived) connection.destroy();
  server.close();
  await relay.end();
});

async function open(): Promise<Socket> {
  const client = connect({ port: relayPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  await once(client, "connect");
  return client;
}

/** Two ends of a connection through the relay. */
async function pair(): Promise<{ client: Socket; peer: Socket }> {
  const known = arrived.length;
  const client = await open();
  await until(() => arrived.length > known);
  return { client, peer: arrived[known] };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

/** Writes so many blocks, each different, and then ends the stream; the checksum of it all. */
async function write(to: Socket, blocks: number): Promise<string> {
  const hash = createHash("sha256");
  for (let i = 0; i < blocks; i++) {
    const bytes = Buffer.from(block);
    bytes.writeUInt32BE(i);
    hash.update(bytes);
    if (!to.write(bytes)) await once(to, "drain");
  }
  to.end();
  return hash.digest("hex");
}

/** Reads to the end of the stream; its checksum. */
async function read(from: Socket): Promise<string> {
  const hash: Hash = createHash("sha256");
  from.on("data", (bytes) => hash.update(bytes)).resume();
  await once(from, "end");
  return hash.digest("hex");
}

/** Reads until the connection ends in whatever way; what came, and the error's code. */
async function readAll(from: Socket): Promise<{ bytes: string; end: string }> {
  let bytes = "";
  from.on("data", (piece) => (bytes += piece.toString("latin1"))).resume();
  const end = await new Promise<string>((resolve) => {
    from
      .on("end", () => resolve("end"))
      .on("error", (error) => resolve("code" in error ? String(error.code) : ""));
  });
  return { bytes, end };
}

/** A connection of ours without Node's help; it may be under way. */
function connectRaw(port: number): number {
  const fd = check(socket.openTcp(false), "socket");
  const result = socket.connect(fd, LOOPBACK4, 0, port, 0);
  if (result !== -c.EINPROGRESS) check(result, "connect");
  return fd;
}

/** Sends text; bytes taken. */
function say(fd: number, text: string, flags: number): number {
  const { written } = new TextEncoder().encodeInto(text, scratch.bytes);
  return send(fd, scratch.address, written, flags);
}

/** Repeats a call until it has something to say. */
async function eventually(call: () => number): Promise<number> {
  for (;;) {
    const result = call();
    if (result !== -c.EAGAIN) return result;
    await sleep(5);
  }
}

const descriptors = (): number => readdirSync(`/proc/${relay.pid}/fd`).length;
/** Processor time of the relay in ticks of 10 ms. */
const ticks = (): number =>
  readFileSync(`/proc/${relay.pid}/stat`, "utf8")
    .split(" ")
    .slice(13, 15)
    .reduce((sum, text) => sum + Number(text), 0);

test("100 MiB each way at the same time arrive as they were sent, and both ends are clean", async () => {
  const { client, peer } = await pair();
  const sums = await Promise.all([write(client, 100), read(peer), write(peer, 100), read(client)]);
  expect(sums[1]).toBe(sums[0]);
  expect(sums[3]).toBe(sums[2]);
  await until(() => client.destroyed && peer.destroyed);
  expect(client.errored).toBeNull();
});

test("a slow reader loses nothing and holds nobody up", async () => {
  const slow = await pair();
  const written = write(slow.client, 32);
  const others: Awaited<ReturnType<typeof pair>>[] = [];
  for (let i = 0; i < 50; i++) others.push(await pair());
  for (const { peer } of others) peer.pipe(peer);
  const sums = others.map(async ({ client }) => await Promise.all([write(client, 1), read(client)]));
  for (const [sent, received] of await Promise.all(sums)) expect(received).toBe(sent);
  expect(await read(slow.peer)).toBe(await written);
});

test("1,000 connections at once cost two descriptors each and no time, and leave nothing", async () => {
  const before = descriptors();
  const clients = await Promise.all(Array.from({ length: 1000 }, open));
  await until(() => arrived.length === 1000);
  for (const peer of arrived) peer.on("data", (bytes) => peer.write(bytes)).resume();
  for (const [i, client] of clients.entries()) client.write(`hello ${i}`);
  const answers = await Promise.all(clients.map(async (client) => await once(client, "data")));
  expect(answers.map(String)).toEqual(clients.map((_, i) => `hello ${i}`));
  expect(descriptors() - before).toBeLessThan(2000 + 64);
  // Half of them half closed: nothing to do for any.
  for (const client of clients.slice(500)) client.end();
  await sleep(200);
  const start = ticks();
  await sleep(500);
  expect(ticks() - start).toBeLessThan(5);
  for (const client of clients) client.resume().end();
  for (const peer of arrived) peer.end();
  await until(() => clients.every((client) => client.destroyed));
  await until(() => descriptors() <= before + 64);
});

test.each(["client", "server"])("a reset of the %s comes behind what it said", async (one) => {
  const listener = listeningTcp(false);
  const own = await startChild(program("splice-relay.ts", String(portOf(listener))));
  try {
    const client = connectRaw(Number(own.line));
    const peer = await eventually(() => socket.accept(listener, new Uint32Array(5), 0));
    const [from, to] = one === "client" ? [client, peer] : [peer, client];
    expect(say(from, "the last words", 0)).toBe(14);
    socket.closeReset(from);
    // Not with Node's sockets: they take a reset behind data for an end.
    const length = await eventually(() => recv(to, scratch.address, 100, 0));
    expect(new TextDecoder().decode(scratch.bytes.subarray(0, length))).toBe("the last words");
    expect(await eventually(() => recv(to, scratch.address, 100, 0))).toBe(-c.ECONNRESET);
    close(to);
  } finally {
    await own.end();
    close(listener);
  }
});

test("half-closed both ways: the other direction goes on", async () => {
  for (const order of ["client first", "server first"]) {
    const { client, peer } = await pair();
    const [first, second] = order === "client first" ? [client, peer] : [peer, client];
    first.end("question");
    expect(await readAll(second)).toEqual({ bytes: "question", end: "end" });
    second.end("answer");
    expect(await readAll(first)).toEqual({ bytes: "answer", end: "end" });
  }
});

test("a server that refuses resets the client", async () => {
  server.close();
  await until(() => !server.listening);
  const client = await open();
  expect(await readAll(client)).toEqual({ bytes: "", end: "ECONNRESET" });
});

test("the end of the relay is a reset, never an end", async () => {
  const { client, peer } = await pair();
  const outcomes = Promise.all([readAll(client), readAll(peer)]);
  await relay.end();
  expect((await outcomes).map(({ end }) => end)).toEqual(["ECONNRESET", "ECONNRESET"]);
});

test("urgent bytes keep their places, also before the end", async () => {
  const fd = connectRaw(relayPort);
  // Else the close would be a reset.
  socket.setResetOnClose(fd, false);
  await until(() => arrived.length === 1);
  const received = readAll(arrived[0]);
  say(fd, "one", 0);
  say(fd, "!", MSG_OOB);
  say(fd, "two", 0);
  await sleep(100);
  say(fd, "three!", MSG_OOB);
  say(fd, "four!", MSG_OOB);
  close(fd);
  expect(await received).toEqual({ bytes: "one!twothree!four!", end: "end" });
});
