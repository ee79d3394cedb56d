// A link with delay between two network namespaces, for kernels without the netem queueing discipline: a TAP device in
// each, and a relay that holds every frame for a fixed time. Segmentation offload stays on, so that few large frames
// cross it. Run as `delay-link.ts PID_A NAME_A PID_B NAME_B MILLISECONDS`; prints "ready", ends by a signal.
import {
  check,
  CLONE_NEWNET,
  EAGAIN,
  errno,
  ioctl,
  ioctlNumber,
  mapMemory,
  O_NONBLOCK,
  O_RDWR,
  open,
  POLLIN,
  ppoll,
  read,
  setns,
  write,
} from "./libc.ts";

const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const IFF_TAP_NO_PI_VNET_HDR = 0x0002 | 0x1000 | 0x4000;
/** TUN_F_CSUM | TSO4 | TSO6 | TSO_ECN */
const OFFLOADS = 0x0f;

/** Largest frame with its virtio-net header, rounded up. */
const FRAME_BYTES = 66 * 1024;
/** Bytes and frames that may be on the way in one direction; what exceeds them is dropped, as by any queue. */
const RING_BYTES = 64 << 20;
const RING_FRAMES = 1 << 17;
const BATCH = 64;

/** Frames on the way in one direction, oldest first, in a ring of bytes. */
class Line {
  readonly from: number;
  readonly to: number;
  readonly #memory = mapMemory(RING_BYTES + FRAME_BYTES);
  readonly #at = new Float64Array(RING_FRAMES);
  readonly #bytes = new Int32Array(RING_FRAMES);
  readonly #due = new Float64Array(RING_FRAMES);
  #first = 0;
  #count = 0;
  #end = 0;

  constructor(from: number, to: number) {
    this.from = from;
    this.to = to;
  }

  /** When the oldest frame is due, in ms; Infinity when the line is empty. */
  nextDue(): number {
    return this.#count === 0 ? Infinity : this.#due[this.#first];
  }

  receive(due: number): void {
    for (let i = 0; i < BATCH; i++) {
      const bytes = read(this.from, this.#memory + this.#end, FRAME_BYTES);
      if (bytes < 0) {
        if (errno() !== EAGAIN) throw new Error(`read of the TAP failed with errno ${errno()}`);
        return;
      }
      if (this.#count === RING_FRAMES || this.#free() < 2 * FRAME_BYTES) continue;
      const slot = (this.#first + this.#count) & (RING_FRAMES - 1);
      this.#at[slot] = this.#end;
      this.#bytes[slot] = bytes;
      this.#due[slot] = due;
      this.#count++;
      this.#end += bytes;
      if (this.#end >= RING_BYTES) this.#end = 0;
    }
  }

  deliver(now: number): void {
    while (this.#count > 0 && this.#due[this.#first] <= now) {
      write(this.to, this.#memory + this.#at[this.#first], this.#bytes[this.#first]);
      this.#first = (this.#first + 1) & (RING_FRAMES - 1);
      this.#count--;
    }
  }

  #free(): number {
    if (this.#count === 0) return RING_BYTES;
    const used = this.#end - this.#at[this.#first];
    return used > 0 ? RING_BYTES - used : -used;
  }
}

function openTap(pid: string, name: string): number {
  const netns = check("open of the namespace", open(`/proc/${pid}/ns/net`, 0));
  check("setns", setns(netns, CLONE_NEWNET));
  const fd = check("open of /dev/net/tun", open("/dev/net/tun", O_RDWR | O_NONBLOCK));
  const ifreq = Buffer.alloc(40);
  ifreq.write(name, 0, "latin1");
  ifreq.writeUInt16LE(IFF_TAP_NO_PI_VNET_HDR, 16);
  check("TUNSETIFF", ioctl(fd, TUNSETIFF, ifreq));
  check("TUNSETOFFLOAD", ioctlNumber(fd, TUNSETOFFLOAD, OFFLOADS));
  return fd;
}

function relay(lines: readonly Line[], delay: number): never {
  const pollfds = Buffer.alloc(8 * lines.length);
  lines.forEach((line, index) => {
    pollfds.writeInt32LE(line.from, 8 * index);
    pollfds.writeInt16LE(POLLIN, 8 * index + 4);
  });
  const timespec = Buffer.alloc(16);
  for (;;) {
    const next = Math.min(...lines.map((line) => line.nextDue()));
    // Without frames on the way it wakes up once a second, so that a signal is never waited for longer.
    const wait = Math.min(1000, Math.max(0, next - performance.now()));
    timespec.writeUInt32LE(Math.floor(wait / 1000), 0);
    timespec.writeUInt32LE(Math.floor((wait % 1000) * 1e6), 8);
    ppoll(pollfds, lines.length, timespec, 0, 8);
    const now = performance.now();
    for (const line of lines) {
      line.receive(now + delay);
      line.deliver(now);
    }
  }
}

const [pidA = "", nameA = "", pidB = "", nameB = "", milliseconds = ""] = process.argv.slice(2);
const a = openTap(pidA, nameA);
const b = openTap(pidB, nameB);
console.log("ready");
relay([new Line(a, b), new Line(b, a)], Number(milliseconds));
