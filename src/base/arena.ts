/** One block of memory shared by everything that touches packets: the TAP, the sockets, the protocols. */

/** A block of bytes seen three ways. The views cover the same memory and live as long as the process. */
export interface Arena {
  /** Address of the first byte for the kernel; 0 where no kernel is involved (tests). */
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** An arena in ordinary memory, for code that never hands it to the kernel. */
export function plainArena(length: number): Arena {
  const buffer = new ArrayBuffer(length);
  return { address: 0, bytes: new Uint8Array(buffer), view: new DataView(buffer) };
}
