// The load generator: request/response, connect/request/close, scattered UDP and connections that are only held, over
// blocking sockets called directly, so that it costs little beside what it measures. Run as
// `load.ts MODE ADDRESS PORT SECONDS [SIZE FLOWS]`; every mode prints one JSON line. Servers end by themselves when no
// client has come or is left.
import { isIPv6 } from "node:net";
import {
  accept,
  AF_INET,
  AF_INET6,
  bind,
  check,
  close,
  connect,
  IPPROTO_TCP,
  listen,
  mapMemory,
  MSG_TRUNC,
  recv,
  send,
  setsockopt,
  SO_RCVBUF,
  SO_RCVTIMEO,
  SO_REUSEADDR,
  SO_SNDTIMEO,
  SOCK_DGRAM,
  SOCK_STREAM,
  socket,
  SOL_SOCKET,
  TCP_NODELAY,
} from "./libc.ts";

interface Target {
  readonly family: number;
  readonly sockaddr: Buffer;
  readonly seconds: number;
  readonly size: number;
  readonly flows: number;
}

const MODES: Readonly<Record<string, (target: Target) => object>> = {
  "rr-server": requestServer(false),
  "rr-client": requestResponse,
  "crr-server": requestServer(true),
  "crr-client": connectRequestClose,
  "hold-server": holdServer,
  "hold-client": holdClient,
  "udp-sink": udpSink,
  "udp-source": udpSource,
};
/** Longest wait of one call; a lost connection costs this once and is counted as an error. */
const CALL_TIMEOUT_SECONDS = 2;
/** How long held connections stay as they are, so that somebody can look at what they cost. */
const HOLD_SECONDS = 4;
const memory = mapMemory(65536);

const [mode = "", address = "", port = "", seconds = "", size = "1", flows = "1"] = process.argv.slice(2);
const run = MODES[mode];
if (run === undefined) throw new Error(`unknown mode ${mode}`);
const result = run({
  family: isIPv6(address) ? AF_INET6 : AF_INET,
  sockaddr: socketAddress(address, Number(port)),
  seconds: Number(seconds),
  size: Number(size),
  flows: Number(flows),
});
console.log(JSON.stringify(result));

/** One byte to and fro on one connection. */
function requestResponse(target: Target): object {
  const fd = connected(target, SOCK_STREAM);
  const start = now();
  const end = start + target.seconds;
  let count = 0;
  let at = start;
  while (at < end) {
    for (let i = 0; i < 16; i++) {
      check("send", send(fd, memory, 1, 0));
      if (check("recv", recv(fd, memory, 1, 0)) !== 1) throw new Error("connection closed");
    }
    count += 16;
    at = now();
  }
  close(fd);
  return { count, seconds: at - start, errors: 0 };
}

/** A new connection for each request; the server answers and closes, so that ports of the client side are free again. */
function connectRequestClose(target: Target): object {
  const start = now();
  const end = start + target.seconds;
  let count = 0;
  let errors = 0;
  let at = start;
  while (at < end && errors < 100) {
    const fd = check("socket", socket(target.family, SOCK_STREAM, 0));
    setTimeouts(fd, CALL_TIMEOUT_SECONDS);
    const answered =
      connect(fd, target.sockaddr, target.sockaddr.length) === 0 &&
      send(fd, memory, 1, 0) === 1 &&
      recv(fd, memory, 1, 0) === 1 &&
      recv(fd, memory, 1, 0) === 0;
    close(fd);
    if (answered) count++;
    else errors++;
    at = now();
  }
  return { count, seconds: at - start, errors };
}

/** Answers each byte with a byte; `once` closes after the first answer, else when the client closes. */
function requestServer(once: boolean): (target: Target) => object {
  return (target) => {
    const listener = listening(target);
    let connections = 0;
    for (;;) {
      const fd = accept(listener, 0, 0);
      if (fd < 0) return { connections };
      connections++;
      setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
      setTimeouts(fd, target.seconds);
      while (recv(fd, memory, 1, 0) === 1) {
        send(fd, memory, 1, 0);
        if (once) break;
      }
      close(fd);
    }
  };
}

/** Opens `size` connections and says "open"; after a while each carries a byte to and fro, and it says "used". */
function holdClient(target: Target): object {
  const fds = Array.from({ length: target.size }, () => connected(target, SOCK_STREAM));
  console.log("open");
  pause();
  for (const fd of fds) check("send", send(fd, memory, 1, 0));
  for (const fd of fds) check("recv", recv(fd, memory, 1, 0));
  console.log("used");
  pause();
  return { connections: fds.length };
}

/** Takes `size` connections, answers a byte on each with a byte, and holds them until the clients go. */
function holdServer(target: Target): object {
  const listener = listening(target);
  const fds = Array.from({ length: target.size }, () => check("accept", accept(listener, 0, 0)));
  for (const fd of fds) setTimeouts(fd, target.seconds);
  for (const fd of fds) {
    check("recv", recv(fd, memory, 1, 0));
    check("send", send(fd, memory, 1, 0));
  }
  for (const fd of fds) recv(fd, memory, 1, 0);
  return { connections: fds.length };
}

/** Sends datagrams as fast as the kernel takes them, one to each flow in turn. */
function udpSource(target: Target): object {
  const fds = Array.from({ length: target.flows }, () => connected(target, SOCK_DGRAM));
  const start = now();
  const end = start + target.seconds;
  let count = 0;
  let refused = 0;
  let at = start;
  while (at < end) {
    for (const fd of fds) {
      if (send(fd, memory, target.size, 0) < 0) refused++;
      else count++;
    }
    at = now();
  }
  return { count, seconds: at - start, errors: refused };
}

/** Counts datagrams from the first one until none has come for a second. */
function udpSink(target: Target): object {
  const fd = check("socket", socket(target.family, SOCK_DGRAM, 0));
  setOption(fd, SOL_SOCKET, SO_RCVBUF, 4 << 20);
  setTimeouts(fd, target.seconds);
  check("bind", bind(fd, target.sockaddr, target.sockaddr.length));
  if (recv(fd, memory, 65536, MSG_TRUNC) < 0) return { count: 0, seconds: 0, errors: 0 };
  setTimeouts(fd, 1);
  const start = now();
  let at = start;
  let count = 1;
  while (recv(fd, memory, 65536, MSG_TRUNC) >= 0) {
    count++;
    if (count % 64 === 0) {
      at = now();
      if (at - start > target.seconds) break;
    }
  }
  return { count, seconds: at - start, errors: 0 };
}

/** A listening socket whose accept waits as long as the target says. */
function listening(target: Target): number {
  const fd = check("socket", socket(target.family, SOCK_STREAM, 0));
  setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  setTimeouts(fd, target.seconds);
  check("bind", bind(fd, target.sockaddr, target.sockaddr.length));
  check("listen", listen(fd, 1024));
  return fd;
}

function connected(target: Target, type: number): number {
  const fd = check("socket", socket(target.family, type, 0));
  setTimeouts(fd, CALL_TIMEOUT_SECONDS);
  check("connect", connect(fd, target.sockaddr, target.sockaddr.length));
  if (type === SOCK_STREAM) setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

function setOption(fd: number, level: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  check("setsockopt", setsockopt(fd, level, name, bytes, 4));
}

/** SO_RCVTIMEO bounds accept and recv, SO_SNDTIMEO connect and send (struct timeval). */
function setTimeouts(fd: number, timeout: number): void {
  const timeval = Buffer.alloc(16);
  timeval.writeBigInt64LE(BigInt(Math.ceil(timeout)));
  check("setsockopt", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeval, 16));
  check("setsockopt", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeval, 16));
}

/** struct sockaddr_in or sockaddr_in6 of a numeric address. */
function socketAddress(text: string, number: number): Buffer {
  if (!isIPv6(text)) {
    const sockaddr = Buffer.alloc(16);
    sockaddr.writeUInt16LE(AF_INET, 0);
    sockaddr.writeUInt16BE(number, 2);
    Buffer.from(text.split(".").map(Number)).copy(sockaddr, 4);
    return sockaddr;
  }
  const sockaddr = Buffer.alloc(28);
  sockaddr.writeUInt16LE(AF_INET6, 0);
  sockaddr.writeUInt16BE(number, 2);
  const [head = "", tail = ""] = text.split("::");
  groups(head).forEach((group, index) => sockaddr.writeUInt16BE(group, 8 + 2 * index));
  const last = groups(tail);
  last.forEach((group, index) => sockaddr.writeUInt16BE(group, 24 - 2 * last.length + 2 * index));
  return sockaddr;
}

function groups(part: string): number[] {
  return part
    .split(":")
    .filter(Boolean)
    .map((group) => Number.parseInt(group, 16));
}

function now(): number {
  return performance.now() / 1000;
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HOLD_SECONDS * 1000);
}
