/**
 * The client of the tests; prints one JSON line. Verbs:
 *   outcome HOST PORT               connects, sends a byte, waits for the end: { outcome, ms, bytes }
 *   sequential HOST PORT COUNT      connections one after another, each with an echo: { done, failed, first }
 *   parallel HOST PORT COUNT        the same, all open at the same time
 *   datagrams HOST PORT SIZE COUNT  datagrams of random bytes, each echoed: { echoed, lost, wrong }
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { randomBytes } from "node:crypto";

const [verb, host = "", portText, ...rest] = process.argv.slice(2);
const port = Number(portText);
const CONNECTION_DEADLINE_MS = 30_000;
const DATAGRAM_DEADLINE_MS = 2000;

/** Connects, sends `request` and resolves with the echo of it; the socket stays open. */
async function echo(request: Buffer): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  socket.setTimeout(CONNECTION_DEADLINE_MS, () => socket.destroy(new Error("no answer before the deadline")));
  await once(socket, "connect");
  socket.write(request);
  let got = Buffer.alloc(0);
  while (got.length < request.length) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    got = Buffer.concat([got, chunk]);
  }
  if (!got.equals(request)) throw new Error(`echo differs: ${got.toString("hex")}`);
  return socket;
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

async function datagrams(size: number, count: number): Promise<object> {
  const socket = createSocket({ type: host.includes(":") ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
  socket.connect(port, host);
  await once(socket, "connect");
  const result = { echoed: 0, lost: 0, wrong: 0, errors: [] as string[] };
  socket.on("error", (error: NodeJS.ErrnoException) => result.errors.push(error.code ?? error.message));
  for (let index = 0; index < count; index++) {
    const payload = randomBytes(size);
    const answer = await new Promise<Buffer | undefined>((resolve) => {
      const deadline = setTimeout(() => resolve(undefined), DATAGRAM_DEADLINE_MS);
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
  sequential: () => sequential(counts[0] ?? 1),
  parallel: () => parallel(counts[0] ?? 1),
  datagrams: () => datagrams(counts[0] ?? 1, counts[1] ?? 1),
};
const chosen = verbs[verb ?? ""];
if (chosen === undefined) throw new Error(`unknown verb ${verb}`);
console.log(JSON.stringify(await chosen()));
