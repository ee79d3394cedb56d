/**
 * Holds ports as nerdctl's port reserver does: `sleep infinity` with sockets that it inherited. Writes its process id
 * to the file named first and ends; the other words are ports, such as tcp:127.0.0.1:80.
 */
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";

const [pidFile = "", ...ports] = process.argv.slice(2);

async function open(text: string): Promise<number> {
  const [protocol, host, port] = text.split(":");
  const socket =
    protocol === "tcp"
      ? createServer().listen({ host, port: Number(port) })
      : createSocket("udp4").bind(Number(port), host);
  await once(socket, "listening");
  if ("getSendQueueSize" in socket) {
    // Node.js has no other way to it.
    const symbol = Object.getOwnPropertySymbols(socket).find((each) => each.description === "state symbol");
    return (socket as unknown as Record<symbol, { handle: { fd: number } }>)[symbol!].handle.fd;
  }
  const { _handle: handle } = socket as unknown as { _handle: { fd: number } };
  return handle.fd;
}

const fds = await Promise.all(ports.map(open));
const child = spawn("sleep", ["infinity"], { stdio: ["ignore", "ignore", "ignore", ...fds], detached: true });
writeFileSync(pidFile, `${child.pid}`);
process.exit(0);
