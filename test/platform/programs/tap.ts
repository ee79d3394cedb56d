/** Makes TAP devices in the namespace it is started in and prints, as JSON, how that went. */
import { execFileSync } from "node:child_process";
import { close, read, write } from "../../../src/ffi/libc.ts";
import { allocate } from "../../../src/ffi/memory.ts";
import { openTap, setOffloads } from "../../../src/kernel/tap.ts";

const VNET_HEADER = 10;
const IPV6_ETHERTYPE = 0x86dd;

function messageOf(action: () => unknown): string {
  try {
    action();
    return "";
  } catch (error) {
    return String(error);
  }
}

/** Frames that the kernel sends by itself until there is one of that ethertype; its length, or 0. */
function awaitFrame(fd: number, address: number, view: DataView, ethertype: number): number {
  const end = Date.now() + 5000;
  while (Date.now() < end) {
    const length = read(fd, address, 65536);
    if (length > 0 && view.getUint16(VNET_HEADER + 12) === ethertype) return length;
  }
  return 0;
}

const { address, view } = allocate(65536);
const tap = openTap("guest0", { wantOffload: true });
const plain = openTap("plain%d", { wantOffload: false });
const down = write(tap.fd, address, VNET_HEADER + 60);
execFileSync("ip", ["link", "set", "guest0", "up"]);
// A device that stays when nobody holds it.
execFileSync("ip", ["tuntap", "add", "kept0", "mode", "tap"]);
const result = {
  tap: { name: tap.name, offloads: tap.offloads },
  plain: { name: plain.name, offloads: plain.offloads },
  again: setOffloads(tap.fd),
  busy: messageOf(() => openTap("guest0", { wantOffload: true })),
  long: messageOf(() => openTap("sixteen-letters-", { wantOffload: true })),
  empty: messageOf(() => openTap("", { wantOffload: true })),
  other: messageOf(() => openTap("lo", { wantOffload: true })),
  kept: messageOf(() => openTap("kept0", { wantOffload: true })),
  wrong: messageOf(() => openTap("..", { wantOffload: true })),
  down,
  written: write(tap.fd, address, VNET_HEADER + 60),
  frame: awaitFrame(tap.fd, address, view, IPV6_ETHERTYPE),
};
close(tap.fd);
process.stdout.write(`${JSON.stringify(result)}\n`);
