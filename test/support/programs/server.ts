/**
 * The peer's little servers, one process for all of them, on the addresses given as arguments:
 * 7 TCP and UDP echo; 9 TCP that takes a request and resets; 11 TCP that says "bye", closes its side, and prints the
 * SHA-256 of what it still receives; 13 TCP that resets at once, before any byte.
 */
import { createServer, type Socket } from "node:net";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";

const BACKLOG = 4096;

const addresses = process.argv.slice(2);
let ready = 0;

function isUp(): void {
  ready += 1;
  if (ready === addresses.length * 5) console.log("ready");
}

function serve(address: string, port: number, handle: (socket: Socket) => void): void {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    handle(socket);
  });
  server.listen({ host: address, port, backlog: BACKLOG }, isUp);
}

for (const address of addresses) {
  serve(address, 7, (socket) => socket.pipe(socket));
  serve(address, 9, (socket) => socket.once("data", () => socket.resetAndDestroy()));
  serve(address, 11, (socket) => {
    const hash = createHash("sha256");
    socket.end("bye\n");
    socket.on("data", (bytes) => hash.update(bytes));
    socket.on("end", () => console.log(`received ${hash.digest("hex")}`));
  });
  serve(address, 13, (socket) => socket.resetAndDestroy());
  const echo = createSocket({ type: address.includes(":") ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
  echo.on("message", (datagram, from) => echo.send(datagram, from.port, from.address));
  echo.bind(7, address, isUp);
}
