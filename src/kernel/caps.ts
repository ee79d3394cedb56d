/**
 * Giving up what this process may do. Capabilities belong to threads: what is given up here is given up by the
 * calling thread and by the programs that it starts from now on.
 */
import * as c from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { capget, capset, prctl } from "../ffi/libc.ts";
import { capsetOnPool } from "../ffi/libc-async.ts";
import { allocate, scratch } from "../ffi/memory.ts";
import { capData, capHeader } from "../ffi/structs.ts";

/** One bit for each capability, by number (CAP_*). */
type CapabilitySet = bigint;

/** What an engine is born with: to enter the container's network namespace, and ports below 1024. */
export const ENGINE_CAPABILITIES: readonly number[] = [c.CAP_SYS_ADMIN, c.CAP_NET_BIND_SERVICE];
/** What it takes to change the container's addresses and routes besides. */
export const CONFIGURATION_CAPABILITIES: readonly number[] = [c.CAP_NET_ADMIN];
/** What it takes to become another user besides. */
export const IDENTITY_CAPABILITIES: readonly number[] = [c.CAP_SETUID, c.CAP_SETGID];
/** What it takes to end an engine that is another user. */
export const SIGNAL_CAPABILITIES: readonly number[] = [c.CAP_KILL];

/** Where in `scratch` the two data words of capget(2) lie. */
const DATA_AT = capHeader.size;

/** Tells whether this thread has a capability (CAP_*) in its own user namespace. */
export function hasCapability(capability: number): boolean {
  readSets();
  return ((readSet(capData.effective) >> BigInt(capability)) & 1n) === 1n;
}

/**
 * Gives up all capabilities but those named, for this thread and for every program it starts, which has those that are
 * to be passed on and are left, whoever runs it. That root has no more than others, and the bounding set, of which then
 * nothing is needed any more, take CAP_SETPCAP and are left alone without it. Throws SysError.
 * @param keep more for this thread alone
 */
export function limitCapabilities(pass: readonly number[], keep: readonly number[] = []): void {
  check(prctl(c.PR_CAP_AMBIENT, c.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl PR_CAP_AMBIENT");
  readSets();
  const permitted = readSet(capData.permitted);
  const passed = permitted & setOf(pass);
  writeSet(capData.inheritable, passed);
  check(capset(scratch.address, scratch.address + DATA_AT), "capset");
  ifPermitted(prctl(c.PR_SET_SECUREBITS, c.SECBIT_NOROOT, 0, 0, 0), "prctl PR_SET_SECUREBITS");
  for (let capability = 0; prctl(c.PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
    ifPermitted(prctl(c.PR_CAPBSET_DROP, capability, 0, 0, 0), "prctl PR_CAPBSET_DROP");
  }
  const left = permitted & setOf([...pass, ...keep]);
  writeSet(capData.permitted, left);
  writeSet(capData.effective, left);
  check(capset(scratch.address, scratch.address + DATA_AT), "capset");
  passOn(pass);
}

/** Of what `limitCapabilities` passes on, programs that are started from now on have these alone. Throws SysError. */
export function passOn(capabilities: readonly number[]): void {
  readSets();
  const passed = readSet(capData.inheritable) & setOf(capabilities);
  check(prctl(c.PR_CAP_AMBIENT, c.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl PR_CAP_AMBIENT");
  for (const capability of capabilities) {
    if ((passed & setOf([capability])) === 0n) continue;
    check(prctl(c.PR_CAP_AMBIENT, c.PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl PR_CAP_AMBIENT");
  }
}

/** Throws SysError, but not for EPERM. */
function ifPermitted(result: number, call: string): void {
  if (result !== -c.EPERM) check(result, call);
}

/**
 * Becomes another user for good, without supplementary groups. libc does this to every thread of the process, all of
 * which need CAP_SETUID and CAP_SETGID, and the kernel takes all capabilities from those that were root; only this
 * thread keeps what it had, for `limitCapabilities` to choose from. Throws what Node.js throws.
 * @see capabilities(7), "Effect of user ID changes on capabilities"; nptl(7)
 */
export function becomeUser({ uid, gid }: { uid: number; gid: number }): void {
  check(prctl(c.PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl PR_SET_KEEPCAPS");
  process.setgroups!([]);
  process.setgid!(gid);
  process.setuid!(uid);
}

/** Gives up all capabilities of the pool's thread, where the pool has one thread: 0 or -errno. */
export function dropCapabilitiesOnPool(): Promise<number> {
  // The sets are zero, as this memory is.
  const { view, address } = allocate(DATA_AT + 2 * capData.size);
  view.setUint32(capHeader.version, c.LINUX_CAPABILITY_VERSION_3, true);
  return capsetOnPool(address, address + DATA_AT);
}

/** From now on, no program that this thread starts can gain privileges. @see PR_SET_NO_NEW_PRIVS in prctl(2) */
export function forbidNewPrivileges(): void {
  check(prctl(c.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS");
}

/** No core dumps, and no other process of the user may look into this one. @see PR_SET_DUMPABLE in prctl(2) */
export function forbidInspection(): void {
  check(prctl(c.PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl PR_SET_DUMPABLE");
}

/** Leaves the header and the sets of this thread in `scratch`. */
function readSets(): void {
  scratch.view.setUint32(capHeader.version, c.LINUX_CAPABILITY_VERSION_3, true);
  scratch.view.setUint32(capHeader.pid, 0, true);
  check(capget(scratch.address, scratch.address + DATA_AT), "capget");
}

function readSet(field: number): CapabilitySet {
  const low = scratch.view.getUint32(DATA_AT + field, true);
  const high = scratch.view.getUint32(DATA_AT + capData.size + field, true);
  return (BigInt(high) << 32n) | BigInt(low);
}

const setOf = (capabilities: readonly number[]): CapabilitySet =>
  capabilities.reduce((set, capability) => set | (1n << BigInt(capability)), 0n);

function writeSet(field: number, set: CapabilitySet): void {
  scratch.view.setUint32(DATA_AT + field, Number(set & 0xffffffffn), true);
  scratch.view.setUint32(DATA_AT + capData.size + field, Number(set >> 32n), true);
}
