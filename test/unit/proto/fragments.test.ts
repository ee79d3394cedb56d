import { beforeEach, describe, expect, test } from "@jest/globals";
import { FRAGMENT_SLOT_LENGTH, FRAGMENT_SLOTS } from "../../../src/proto/fragments.ts";
import { Stack } from "../../../src/proto/stack.ts";
import { FakeNet } from "../../support/fake-net.ts";
import { ipFrame, pattern, udpDatagram } from "../../support/frames.ts";

/** Start and end in the packet, and whether it says that more follow; without, whatever is true. */
type Piece = readonly [number, number, boolean?];

let net: FakeNet;
let stack: Stack;
let nextAt: number;

beforeEach(() => {
  net = new FakeNet();
  stack = new Stack(net);
  nextAt = net.plan.receiveAt;
});

/** Sends pieces of the UDP datagram in one batch. */
function send(to: string, datagram: Uint8Array, pieces: readonly Piece[], id = 1, protocol = 17): void {
  for (const [start, end, more = end < datagram.length] of pieces) {
    const fragment = { offset: start, more, id };
    const frame = ipFrame(to, protocol, datagram.subarray(start, end), { fragment });
    const at = nextAt;
    nextAt = net.place(frame, at);
    stack.frame(at, nextAt);
  }
}

function endBatch(): void {
  stack.endOfFrames();
  stack.startOfCycle();
  stack.endOfCycle();
  nextAt = net.plan.receiveAt;
}

const payloads = (): Uint8Array[] => net.host.sockets.flatMap(({ sent }) => sent).map(({ bytes }) => bytes);
const counted = (): object => net.counters.snapshot();

describe.each(["198.51.100.1", "2001:db8:1::1"])("to %s", (to) => {
  const datagram = udpDatagram(5000, 7, pattern(3000));

  test.each<[string, Piece[]]>([
    [
      "in order",
      [
        [0, 1480],
        [1480, 2960],
        [2960, 3008],
      ],
    ],
    [
      "backwards",
      [
        [2960, 3008],
        [1480, 2960],
        [0, 1480],
      ],
    ],
    [
      "the middle last",
      [
        [2960, 3008],
        [0, 1480],
        [1480, 2960],
      ],
    ],
    [
      "with copies",
      [
        [0, 1480],
        [0, 1480],
        [8, 80],
        [2960, 3008],
        [2960, 3008],
        [1480, 2960],
      ],
    ],
    [
      "in very small pieces",
      [
        [0, 8],
        [16, 24],
        [8, 16],
        [24, 3008],
      ],
    ],
  ])("a packet comes together %s", (_name, pieces) => {
    send(to, datagram, pieces);
    endBatch();
    expect(payloads()).toEqual([pattern(3000)]);
    expect(counted()).toMatchObject({ fragmentsReassembled: 1 });
    // Who sends fragments takes them.
    expect(net.host.socket.options["setDontFragment"]).toBe(false);
  });

  test.each<[string, Piece[]]>([
    [
      "overlap at the end",
      [
        [0, 1480],
        [1472, 2960],
        [2960, 3008],
      ],
    ],
    [
      "overlap at the start",
      [
        [1480, 2960],
        [0, 1488],
        [2960, 3008],
      ],
    ],
    [
      "a piece that has others inside",
      [
        [8, 16],
        [0, 24],
        [24, 3008],
      ],
    ],
    [
      "an end before other pieces",
      [
        [1480, 2960],
        [8, 800, false],
      ],
    ],
    [
      "two ends",
      [
        [2960, 3008],
        [1480, 2000, false],
      ],
    ],
    [
      "a piece behind the end",
      [
        [8, 800, false],
        [1480, 2960],
      ],
    ],
    ["an odd piece in the middle", [[0, 1477, true]]],
    ["an empty piece", [[0, 0, true]]],
    ["the last piece empty", [[1480, 1480, false]]],
  ])("%s gives nothing", (_name, pieces) => {
    send(to, datagram, pieces);
    endBatch();
    expect(payloads()).toEqual([]);
    expect(counted()).toHaveProperty("dropFragmentBad");
  });

  test("packets are told apart by identification and by address", () => {
    send(to, datagram, [[0, 1480]], 1);
    send(to, udpDatagram(5000, 7, pattern(3000, 100)), [[0, 1480]], 2);
    send(to, datagram, [[1480, 3008]], 1);
    send(to, udpDatagram(5000, 7, pattern(3000, 100)), [[1480, 3008]], 2);
    endBatch();
    expect(Buffer.concat(payloads()).equals(Buffer.concat([pattern(3000), pattern(3000, 100)]))).toBe(true);
  });

  test("payloads stay where they are until the end of the batch, then their place is free", () => {
    for (let round = 0; round < 3; round++) {
      for (let id = 0; id < FRAGMENT_SLOTS; id++) {
        send(
          to,
          datagram,
          [
            [0, 1480],
            [1480, 3008],
          ],
          id,
        );
        // A batch has room for all of them.
        nextAt = net.plan.receiveAt;
      }
      endBatch();
    }
    const all = payloads();
    expect(Buffer.concat(all).length).toBe(3 * FRAGMENT_SLOTS * 3000);
    expect(counted()).toMatchObject({ fragmentsReassembled: 3 * FRAGMENT_SLOTS });
  });

  test("the bound on packets in progress refuses the newest", () => {
    for (let id = 0; id < FRAGMENT_SLOTS + 5; id++) send(to, datagram, [[0, 1480]], id);
    expect(counted()).toMatchObject({ dropFragmentLimit: 5 });
    send(to, datagram, [[1480, 3008]], 0);
    endBatch();
    expect(payloads()).toEqual([pattern(3000)]);
  });

  test("an unfinished packet is given up after 30 s, its memory later", () => {
    expect(stack.nextDelay()).toBe(-1);
    send(to, datagram, [[0, 1480]]);
    endBatch();
    expect(stack.nextDelay()).toBe(30_000);
    net.advance(30_000);
    endBatch();
    expect(counted()).toMatchObject({ dropFragmentTimeout: 1 });
    send(to, datagram, [[1480, 3008]]);
    endBatch();
    expect(payloads()).toEqual([]);
    net.advance(30_000);
    endBatch();
    const range = { at: net.plan.fragmentsAt, length: FRAGMENT_SLOT_LENGTH };
    expect(net.host.released).toEqual([range, range]);
    expect(stack.nextDelay()).toBe(-1);
  });
});

test("memory is given back some time after the last fragment", () => {
  send("198.51.100.1", udpDatagram(5000, 7, pattern(3000)), [
    [0, 1480],
    [1480, 3008],
  ]);
  endBatch();
  // An open UDP flow wants its timer too.
  net.advance(4_999);
  endBatch();
  expect(net.host.released).toEqual([]);
  net.advance(1);
  endBatch();
  expect(net.host.released.length).toBe(1);
});

test("the largest packet of each family goes through, a larger one does not", () => {
  const largest = udpDatagram(5000, 7, pattern(65_507));
  send("198.51.100.1", largest, [
    [0, 32_768],
    [32_768, 65_515],
  ]);
  endBatch();
  expect(payloads().map(({ length }) => length)).toEqual([65_507]);
  const tooLarge = new Uint8Array(65_536);
  send("198.51.100.1", tooLarge, [[65_512, 65_520, false]], 2);
  send("2001:db8:1::1", tooLarge, [[65_528, 65_536, false]], 2);
  endBatch();
  expect(counted()).toMatchObject({ dropFragmentBad: 2 });
});

test("IPv4 packets of different protocols may have one identification", () => {
  const datagram = udpDatagram(5000, 7, pattern(3000));
  send("198.51.100.1", datagram, [[0, 1480]], 1, 17);
  send("198.51.100.1", datagram, [[1480, 3008]], 1, 6);
  endBatch();
  expect(payloads()).toEqual([]);
});

test("an IPv6 fragment header on a whole packet is no fragment", () => {
  send("2001:db8:1::1", udpDatagram(5000, 7, pattern(30)), [[0, 38]]);
  endBatch();
  expect(payloads()).toEqual([pattern(30)]);
  expect(stack.nextDelay()).toBeGreaterThan(5_000);
});

test("fragments need memory: without, all are refused", () => {
  net.plan.fragmentsLength = 0;
  stack = new Stack(net);
  send("198.51.100.1", udpDatagram(5000, 7, pattern(3000)), [[0, 1480]]);
  expect(counted()).toMatchObject({ dropFragmentLimit: 1 });
});
