/**
 * The client of the tests; prints one JSON line. Verbs:
 *   outcome HOST PORT               connects, sends a byte, waits for the end: { outcome, ms, bytes }
 *   sequential HOST PORT COUNT      connections one after another, each with an echo: { done, failed, first }
 *   parallel HOST PORT COUNT        the same, all open at the same time
 *   reset HOST PORT                 an echo, then a reset: { done: 1 }
 *   fair HOST COUNT                 COUNT echoes of a MiB on port 7007, while one connection to 7019 is not read and one
 *                                   to 7017 is not read by the server; then reads the first: { done, failed, more }
 *   hold HOST PORT COUNT            COUNT connections with an echo of a byte each, again and again, until standard input
 *                                   ends: { done, failed, first, rounds }
 *   crowd HOST PORT COUNT           COUNT connections with a byte each, held until standard input ends; how many were
 *                                   answered and how many broken off: { served, failed, first }
 *   datagrams HOST PORT SIZE COUNT [MS]  datagrams of random bytes, each echoed, within 2,000 ms or those given:
 *                                   { echoed, lost, wrong }
 *   range HOST FIRST COUNT          the number of the port to each of COUNT UDP ports: what came back, by port
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Socket } from "node:net";
import { randomBytes } from "node:crypto";

const [verb, host = "", portText, ...rest] = process.argv.slice(2);
const port = Number(portText);
const CONNECTION_DEADLINE_MS = 30_000;
const DATAGRAM_DEADLINE_MS = 2000;
const MIB = 1 << 20;
/** More than all buffers between two programs hold. */
const STALLED_MIB = 64;
const STALL_MS = 500;

/** Connects, sends `request` and resolves with the echo of it; the socket stays open. */
async function echo(request: Buffer, toPort = port): Promise<Socket> {
  const socket = connect({ host, port: toPort, noDelay: true });
  socket.setTimeout(CONNECTION_DEADLINE_MS, () => socket.destroy(new Error("no answer before the deadline")));
  await once(socket, "connect");
  socket.write(request);
  const whole = await receive(socket, request.length);
  if (!whole.equals(request)) throw new Error(`echo differs: ${whole.toString("hex").slice(0, 100)}`);
  return socket;
}

/** The next `length` bytes, or more when they came together. */
async function receive(socket: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let got = 0;
  return new Promise((resolve, reject) => {
    const early = (): void => reject(new Error(`the connection ended after ${got} of ${length} bytes`));
    const take = (chunk: Buffer): void => {
      chunks.push(chunk);
      got += chunk.length;
      if (got < length) return;
      socket.off("data", take).off("error", reject).off("end", early);
      resolve(Buffer.concat(chunks));
    };
    socket.on("data", take).on("error", reject).on("end", early);
  });
}

async function closeInOrder(socket: Socket): Promise<void> {
  socket.resume();
  socket.end();
  if (!socket.closed) await once(socket, "close");
}

function requestOf(index: number): Buffer {
  return Buffer.from(`request ${index}`);
}

/** Counts good and failed connections and keeps the first failure's text. */
class Tally {
  done = 0;
  failed = 0;
  first = "";
  fail(cause: unknown): void {
    this.failed += 1;
    if (this.first === "") this.first = String(cause);
  }
}

async function sequential(count: number): Promise<Tally> {
  const tally = new Tally();
  for (let index = 0; index < count; index++) {
    try {
      await closeInOrder(await echo(requestOf(index)));
      tally.done += 1;
    } catch (cause) {
      tally.fail(cause);
    }
  }
  return tally;
}

async function parallel(count: number): Promise<Tally> {
  const tally = new Tally();
  const sockets = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      echo(requestOf(index)).catch((cause: unknown) => tally.fail(cause)),
    ),
  );
  for (const socket of sockets) {
    if (!socket) continue;
    await closeInOrder(socket);
    tally.done += 1;
  }
  return tally;
}

async function outcome(): Promise<object> {
  const began = performance.now();
  let bytes = 0;
  const socket = connect({ host, port });
  const seen = await new Promise<string>((resolve) => {
    socket.on("connect", () => socket.write("x"));
    socket.on("data", (chunk) => (bytes += chunk.length));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on("end", () => resolve("end"));
  });
  socket.destroy();
  return { outcome: seen, ms: Math.round(performance.now() - began), bytes };
}

async function fair(count: number): Promise<object> {
  const notRead = connect({ host, port: 7019 });
  const full = connect({ host, port: 7017 });
  await Promise.all([once(notRead, "connect"), once(full, "connect")]);
  // Nobody listens for data of the one; the other is written to until nothing more is taken.
  const block = Buffer.alloc(MIB);
  for (let i = 0; i < STALLED_MIB; i++) full.write(block);
  await sleep(STALL_MS);
  const tally = new Tally();
  const echoOne = async (): Promise<void> => {
    const socket = await echo(randomBytes(MIB), 7007);
    await closeInOrder(socket);
    tally.done += 1;
  };
  await Promise.all(
    Array.from({ length: count }, () => echoOne().catch((cause: unknown) => tally.fail(cause))),
  );
  const more = await receive(notRead, STALLED_MIB * MIB);
  notRead.destroy();
  full.destroy();
  return {
    done: tally.done,
    failed: tally.failed,
    first: tally.first,
    more: more.length >= STALLED_MIB * MIB,
  };
}

async function hold(count: number): Promise<object> {
  const over = { isOver: false };
  process.stdin.resume().once("end", () => (over.isOver = true));
  const tally = new Tally();
  let rounds = 0;
  const sockets = await Promise.all(Array.from({ length: count }, () => echo(requestOf(0))));
  console.log("holding");
  const keepOn = async (socket: Socket): Promise<void> => {
    while (!over.isOver) {
      socket.write("x");
      await receive(socket, 1);
      rounds += 1;
    }
    await closeInOrder(socket);
    tally.done += 1;
  };
  await Promise.all(sockets.map((socket) => keepOn(socket).catch((cause: unknown) => tally.fail(cause))));
  process.stdin.destroy();
  return { done: tally.done, failed: tally.failed, first: tally.first, rounds };
}

async function crowd(count: number): Promise<object> {
  const tally = new Tally();
  let served = 0;
  const sockets = Array.from({ length: count }, () => {
    const socket = connect({ host, port, noDelay: true });
    socket.on("connect", () => socket.write("x"));
    socket.on("data", () => (served += 1));
    socket.on("error", (cause) => tally.fail(cause));
    return socket;
  });
  process.stdin.resume();
  await once(process.stdin, "end");
  for (const socket of sockets) socket.destroy();
  return { served, failed: tally.failed, first: tally.first };
}

async function range(count: number): Promise<object> {
  const socket = createSocket({ type: host.includes(":") ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
  const answers: Record<number, string> = {};
  const all = new Promise<void>((resolve) => {
    setTimeout(resolve, DATAGRAM_DEADLINE_MS).unref();
    socket.on("message", (datagram, from) => {
      answers[from.port] = datagram.toString();
      if (Object.keys(answers).length === count) resolve();
    });
  });
  for (let index = 0; index < count; index++) socket.send(String(port + index), port + index, host);
  await all;
  socket.close();
  return answers;
}

async function reset(): Promise<object> {
  const socket = await echo(requestOf(0));
  socket.resetAndDestroy();
  await once(socket, "close");
  return { done: 1 };
}

async function datagrams(size: number, count: number, deadlineMs = DATAGRAM_DEADLINE_MS): Promise<object> {
  const socket = createSocket({ type: host.includes(":") ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
  socket.connect(port, host);
  await once(socket, "connect");
  const result = { echoed: 0, lost: 0, wrong: 0, errors: [] as string[] };
  socket.on("error", (error: NodeJS.ErrnoException) => result.errors.push(error.code ?? error.message));
  for (let index = 0; index < count; index++) {
    const payload = randomBytes(size);
    const answer = await new Promise<Buffer | undefined>((resolve) => {
      const deadline = setTimeout(() => resolve(undefined), deadlineMs);
      socket.once("message", (datagram) => {
        clearTimeout(deadline);
        resolve(datagram);
      });
      socket.send(payload);
    });
    socket.removeAllListeners("message");
    if (answer === undefined) result.lost += 1;
    else if (answer.equals(payload)) result.echoed += 1;
    else result.wrong += 1;
  }
  socket.close();
  return result;
}

const counts = rest.map(Number);
const verbs: Record<string, () => Promise<object>> = {
  outcome,
  reset,
  fair: () => fair(Number(portText)),
  crowd: () => crowd(counts[0] ?? 1),
  hold: () => hold(counts[0] ?? 1),
  range: () => range(counts[0] ?? 1),
  sequential: () => sequential(counts[0] ?? 1),
  parallel: () => parallel(counts[0] ?? 1),
  datagrams: () => datagrams(counts[0] ?? 1, counts[1] ?? 1, counts[2]),
};
const chosen = verbs[verb ?? ""];
if (chosen === undefined) throw new Error(`unknown verb ${verb}`);
console.log(JSON.stringify(await chosen()));
