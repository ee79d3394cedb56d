/**
 * Connects to a port that comes and goes. Arguments: HOST PORT COUNT; standard input ends it. COUNT connections are on
 * their way at any time; each that comes about must echo a byte. Prints { connected, refused, lost, first }.
 */
import { once } from "node:events";
import { connect } from "node:net";

const [host = "", port = "", count = ""] = process.argv.slice(2);
const ECHO_DEADLINE_MS = 10_000;
const result = { connected: 0, refused: 0, lost: 0, first: "" };
const end = new AbortController();

async function attempt(): Promise<void> {
  const socket = connect({ host, port: Number(port), noDelay: true });
  try {
    await once(socket, "connect");
  } catch {
    result.refused++;
    return;
  }
  result.connected++;
  socket.setTimeout(ECHO_DEADLINE_MS, () => socket.destroy(new Error("no answer before the deadline")));
  try {
    socket.write("x");
    await once(socket, "data");
  } catch (cause) {
    result.lost++;
    if (result.first === "") result.first = String(cause);
  }
  socket.destroy();
}

async function again(): Promise<void> {
  while (!end.signal.aborted) await attempt();
}

process.stdin.on("end", () => end.abort()).resume();
console.log("racing");
await Promise.all(Array.from({ length: Number(count) }, again));
console.log(JSON.stringify(result));
process.exit();
