/** Programs of the classic packet filter, for sockets (SO_ATTACH_FILTER) and system calls (seccomp(2)). */
import { scratch, setWord } from "../ffi/memory.ts";
import { sockFilter, sockFprog } from "../ffi/structs.ts";

/** Code, instructions to skip when true and when false, and value. @see linux/filter.h */
export type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

/* linux/bpf_common.h */
export const LOAD_WORD = 0x20;
export const LOAD_BYTE = 0x30;
export const JUMP_IF_EQUAL = 0x15;
export const JUMP_IF_AT_LEAST = 0x35;
export const JUMP_IF_ANY_BIT = 0x45;
export const RETURN = 0x06;

/** Writes a struct sock_fprog and its program to the start of `scratch`. */
export function writeProgram(program: readonly Instruction[]): void {
  const { view, address } = scratch;
  program.forEach(([code, ifTrue, ifFalse, value], i) => {
    const at = sockFprog.size + i * sockFilter.size;
    view.setUint16(at + sockFilter.code, code, true);
    view.setUint8(at + sockFilter.ifTrue, ifTrue);
    view.setUint8(at + sockFilter.ifFalse, ifFalse);
    view.setUint32(at + sockFilter.value, value, true);
  });
  view.setUint16(sockFprog.length, program.length, true);
  setWord(view, sockFprog.filter, address + sockFprog.size);
}
