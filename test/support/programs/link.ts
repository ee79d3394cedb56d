/**
 * A network cable with faults: two TAP devices, and what enters one leaves the other, late, lost or out of order.
 * Takes the place of tc-netem, which not every kernel has, and draws its faults from a seed.
 * Arguments: NAME-A NAME-B DELAY-MS LOSS REORDER (one-way delay; shares of frames between 0 and 1).
 * A reordered frame is held back by 1 to 4 ms more. Runs until its standard input ends.
 */
import { openSync, writeSync } from "node:fs";
import koffi from "koffi";

const [nameA = "", nameB = "", ...numbers] = process.argv.slice(2);
const [delayMs = 0, loss = 0, reorder = 0] = numbers.map(Number);

const TUNSETIFF = 0x400454ca;
const IFF_TAP_NO_PI = 0x0002 | 0x1000;
const IFREQ_SIZE = 40;
const IFREQ_FLAGS = 16;
const POLLIN = 1;
const POLLHUP = 16;
const O_RDWR_NONBLOCK = 0o2 | 0o4000;
const MAX_FRAME = 65_600;
const FRAMES_PER_TURN = 64;

const libc = koffi.load("libc.so.6");
const ioctl = libc.func("int ioctl(int fd, unsigned long request, void *argument)");
const poll = libc.func("int poll(void *fds, unsigned long count, int timeout)");
const read = libc.func("long read(int fd, void *buffer, size_t length)");

function openTap(name: string): number {
  const fd = openSync("/dev/net/tun", O_RDWR_NONBLOCK);
  const request = Buffer.alloc(IFREQ_SIZE);
  request.write(name);
  request.writeUInt16LE(IFF_TAP_NO_PI, IFREQ_FLAGS);
  if (ioctl(fd, TUNSETIFF, request) < 0) throw new Error(`TUNSETIFF ${name}: errno ${koffi.errno()}`);
  return fd;
}

/** Numerical Recipes' linear congruential generator: the same faults in every run. */
let seed = 20_240_601;
function chance(): number {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 2 ** 32;
}

interface Late {
  readonly due: number;
  readonly fd: number;
  readonly frame: Buffer;
}

/** Frames on their way, in the order of their due time. Insertion is at the end but for reordered frames. */
const onTheWay: Late[] = [];
let head = 0;

function insert(late: Late): void {
  let at = onTheWay.length;
  while (at > head && onTheWay[at - 1].due > late.due) at -= 1;
  if (at === onTheWay.length) onTheWay.push(late);
  else onTheWay.splice(at, 0, late);
}

function deliver(now: number): void {
  while (head < onTheWay.length && onTheWay[head].due <= now) {
    const { fd, frame } = onTheWay[head];
    head += 1;
    try {
      writeSync(fd, frame);
    } catch (cause) {
      // EIO: the device is down; the frame is lost as on an unplugged cable.
      if ((cause as NodeJS.ErrnoException).code !== "EIO") throw cause;
    }
  }
  if (head > 4096) {
    onTheWay.splice(0, head);
    head = 0;
  }
}

const taps = [openTap(nameA), openTap(nameB)] as const;
const fds = Buffer.alloc(24);
const buffer = Buffer.alloc(MAX_FRAME);
fds.writeInt32LE(taps[0], 0);
fds.writeInt32LE(taps[1], 8);
fds.writeInt32LE(0, 16);
for (const at of [4, 12, 20]) fds.writeUInt16LE(POLLIN, at);

function take(from: number, to: number, now: number): void {
  for (let count = 0; count < FRAMES_PER_TURN; count++) {
    const length = Number(read(from, buffer, MAX_FRAME));
    if (length <= 0) return;
    if (chance() < loss) continue;
    const extra = chance() < reorder ? 1 + 3 * chance() : 0;
    insert({ due: now + delayMs + extra, fd: to, frame: Buffer.from(buffer.subarray(0, length)) });
  }
}

console.log("ready");
for (;;) {
  const next = onTheWay.at(head);
  const wait = next === undefined ? -1 : Math.max(0, Math.ceil(next.due - performance.now()));
  poll(fds, 3, wait);
  if (fds.readUInt16LE(22) & (POLLIN | POLLHUP)) process.exit(0);
  const now = performance.now();
  if (fds.readUInt16LE(6) & POLLIN) take(taps[0], taps[1], now);
  if (fds.readUInt16LE(14) & POLLIN) take(taps[1], taps[0], now);
  deliver(performance.now());
}
