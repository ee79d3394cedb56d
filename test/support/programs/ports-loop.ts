/**
 * Changes an engine's ports again and again. Arguments: SOCKET HOST PORT COUNT. PORT of HOST leads to the echo servers on
 * port 7 for half of the time; some connections and UDP clients from those times are kept, and all the while port 7007
 * must take new ones. Prints { changes, kept, first }: how many changes were made, how many of the kept still get echoes
 * in the end, and the first thing that went wrong.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

const [path = "", host = "", portText = "", count = ""] = process.argv.slice(2);
const port = Number(portText);
const RULES = ["tcp", "udp"].map((protocol) => ({
  side: "host",
  protocol,
  first: port,
  last: port,
  targetFirst: 7,
}));
const ECHO_DEADLINE_MS = 10_000;

const control = connect(path);
const answers = createInterface({ input: control })[Symbol.asyncIterator]();
let first = "";

/** Makes a change; notes what the engine says against it. */
async function change(action: string): Promise<void> {
  control.write(`${JSON.stringify({ method: "setPorts", params: { action, rules: RULES } })}\n`);
  const { value } = await answers.next();
  const answer = JSON.parse(String(value)) as { error?: { message: string } };
  if (answer.error !== undefined && first === "") first = answer.error.message;
}

/** A way to the echo server that stays: each call is one echo. */
type Way = () => Promise<unknown>;
const ends: (() => void)[] = [];

async function openTcp(toPort: number): Promise<{ socket: Socket; way: Way }> {
  const socket = connect({ host, port: toPort, noDelay: true });
  socket.setTimeout(ECHO_DEADLINE_MS, () => socket.destroy(new Error("no answer before the deadline")));
  await once(socket, "connect");
  const way = async (): Promise<void> => {
    socket.write("x");
    await once(socket, "data");
  };
  await way();
  return { socket, way };
}

async function openUdp(): Promise<Way> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  ends.push(() => socket.close());
  socket.connect(port, host);
  await once(socket, "connect");
  const way = async (): Promise<void> => {
    socket.send("x");
    await once(socket, "message", { signal: AbortSignal.timeout(ECHO_DEADLINE_MS) });
  };
  await way();
  return way;
}

const kept: Way[] = [];
const note = (cause: unknown): void => {
  if (first === "") first = String(cause);
};
for (let i = 0; i < Number(count); i += 2) {
  await change("add");
  if (i % 20 === 0) {
    await openTcp(port).then(({ socket, way }) => {
      kept.push(way);
      ends.push(() => socket.destroy());
    }, note);
    await openUdp().then((way) => kept.push(way), note);
  }
  await change("del");
  if (i % 20 === 10) await openTcp(7007).then(({ socket }) => socket.destroy(), note);
}
const alive = await Promise.allSettled(kept.map(async (way) => way()));
const fulfilled = alive.filter(({ status }) => status === "fulfilled").length;
console.log(JSON.stringify({ changes: Number(count), kept: fulfilled, first }));
for (const end of ends) end();
control.destroy();
