/**
 * Changes an engine's ports again and again. Arguments: SOCKET HOST COUNT. Port 7107 of HOST leads to the echo server on
 * port 7 for half of the time; some connections that were made then are kept, and all the while port 7007 must take new
 * ones. Prints { changes, kept, first }: how many changes were made, how many kept connections still echo in the end,
 * and the first thing that went wrong.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

const [path = "", host = "", count = ""] = process.argv.slice(2);
const RULES = (port: number): object[] => [
  { side: "host", protocol: "tcp", first: port, last: port, targetFirst: 7 },
  { side: "host", protocol: "udp", first: port, last: port, targetFirst: 7 },
];
const ECHO_DEADLINE_MS = 10_000;

const control = connect(path);
const answers = createInterface({ input: control })[Symbol.asyncIterator]();
let first = "";

/** Makes a change; notes what the engine says against it. */
async function change(action: string, rules: object[]): Promise<void> {
  control.write(`${JSON.stringify({ method: "setPorts", params: { action, rules } })}\n`);
  const { value } = await answers.next();
  const answer = JSON.parse(String(value)) as { error?: { message: string } };
  if (answer.error !== undefined && first === "") first = answer.error.message;
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  socket.setTimeout(ECHO_DEADLINE_MS, () => socket.destroy(new Error("no answer before the deadline")));
  await once(socket, "connect");
  return echo(socket);
}

async function echo(socket: Socket): Promise<Socket> {
  socket.write("x");
  await once(socket, "data");
  return socket;
}

const kept: Socket[] = [];
const note = (cause: unknown): void => {
  if (first === "") first = String(cause);
};
for (let i = 0; i < Number(count); i += 2) {
  await change("add", RULES(7107));
  if (i % 20 === 0) await open(7107).then((socket) => kept.push(socket), note);
  await change("del", RULES(7107));
  if (i % 20 === 10) await open(7007).then((socket) => socket.destroy(), note);
}
const alive = await Promise.allSettled(kept.map(async (socket) => echo(socket)));
console.log(
  JSON.stringify({
    changes: Number(count),
    kept: alive.filter(({ status }) => status === "fulfilled").length,
    first,
  }),
);
for (const socket of kept) socket.destroy();
control.destroy();
