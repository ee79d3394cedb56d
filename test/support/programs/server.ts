/**
 * The little servers, one process for all of them, on the addresses given as arguments:
 * 7 TCP and UDP echo; 9 TCP that takes a request and resets; 11 TCP that says "bye", closes its side, and prints the
 * SHA-256 of what it still receives; 13 TCP that resets at once, before any byte; 15 TCP that echoes and prints how each
 * connection ended; 17 TCP that never reads; 19 TCP that sends as long as it is read.
 * A word FIRST-LAST opens UDP ports on "::", each of which answers with its own number and what it got.
 */
import { createServer, type Socket } from "node:net";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";

const BACKLOG = 4096;
const FILL = Buffer.alloc(65_536);

const words = process.argv.slice(2);
const isRange = (word: string): boolean => /^\d+-\d+$/.test(word);
const addresses = words.filter((word) => !isRange(word));
const ports = words
  .filter((word) => isRange(word))
  .flatMap((word) => {
    const [first = 0, last = 0] = word.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
let ready = 0;

function isUp(): void {
  ready += 1;
  if (ready === addresses.length * 8 + ports.length) console.log("ready");
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
  serve(address, 15, (socket) => {
    socket.on("end", () => console.log("ended in order"));
    socket.on("error", (error: NodeJS.ErrnoException) => console.log(`ended with ${error.code}`));
    socket.pipe(socket);
  });
  serve(address, 17, (socket) => socket.pause());
  serve(address, 19, (socket) => {
    const send = (): void => {
      while (socket.write(FILL));
    };
    socket.on("drain", send);
    send();
  });
  const echo = createSocket({ type: address.includes(":") ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
  echo.on("message", (datagram, from) => echo.send(datagram, from.port, from.address));
  echo.bind(7, address, isUp);
}
for (const port of ports) {
  const socket = createSocket("udp6");
  socket.on("message", (datagram, from) =>
    socket.send(`${port} ${datagram.toString()}`, from.port, from.address),
  );
  socket.bind(port, "::", isUp);
}
