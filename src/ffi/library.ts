/** The C library of this process, and the cell in which it leaves errno. The only file that imports koffi. */
import { config, load, view } from "koffi";

/** Asynchronous calls at a time for which koffi keeps memory; each further one is several times as slow. */
export const ASYNC_CALLS = 16;
// Settings belong to the process and can be made but once.
if (config()["resident_async_pools"] !== ASYNC_CALLS) config({ resident_async_pools: ASYNC_CALLS });

/** The C library and the symbols of the node binary itself. */
const self = load(null);

/** A C function as koffi makes it. Arguments of C type uintptr_t are addresses as plain numbers. */
type CFunction = {
  (...args: (number | string)[]): number;
  /** Runs on a thread of libuv's pool. */
  async(...args: [...(number | string)[], (error: Error | null, result: number) => void]): void;
};

/** Declares a C function by its prototype. Variadic functions are declared with the arguments used. */
export const declare = (prototype: string): CFunction => self.func(prototype);

/** Native memory as an ArrayBuffer. It must stay mapped as long as the buffer is used. */
export const viewMemory = (address: number, length: number): ArrayBuffer => view(BigInt(address), length);

/** Where `errno` is. */
export const errnoAddress: number = declare("uintptr_t __errno_location()")();
/**
 * `errno` of the thread that loaded this module, in its only element. Read it in the function that made the
 * call, with nothing between: anything else may make a system call of its own.
 */
export const errno: Int32Array = new Int32Array(viewMemory(errnoAddress, 4));
