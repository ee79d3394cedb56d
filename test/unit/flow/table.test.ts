import { expect, test } from "@jest/globals";
import { FLOW_STATE_NAMES, FlowState, FlowType, Pif } from "../../../src/flow/state.ts";
import {
  FlowTable,
  INITIATING,
  NO_FLOW,
  SIDE_WORDS,
  SideWord,
  TARGET,
  endpointPort,
  isMapped,
  oursPort,
  packKind,
  packPorts,
  sidePif,
  sideProtocol,
  wordsOf,
} from "../../../src/flow/table.ts";

const newTable = (capacity: number): FlowTable => new FlowTable(capacity, Uint32Array.of(1, 2, 3, 4));

function setKey(table: FlowTable, port: number, pif: Pif): void {
  table.key.set([0, 0, 0xffff, 0xcb007101, 0, 0, 0xffff, 0xc6336402, packPorts(443, port), packKind(6, pif)]);
}

/** The steps that lead to ACTIVE, one state each. */
const STEPS: readonly ((table: FlowTable, port: number) => void)[] = [
  (table) => void table.allocate(),
  (table, port) => {
    setKey(table, port, Pif.Tap);
    table.initiate(0);
    table.hash(0, INITIATING);
  },
  (table, port) => {
    setKey(table, port, Pif.Host);
    table.target(0);
    table.hash(0, TARGET);
  },
  (table) => table.setType(0, FlowType.Tcp),
  (table) => table.activate(0),
];

/** An ACTIVE flow with both sides hashed. */
function open(table: FlowTable, port: number): number {
  const flow = table.allocate();
  setKey(table, port, Pif.Tap);
  table.initiate(flow);
  table.hash(flow, INITIATING);
  setKey(table, port, Pif.Host);
  table.target(flow);
  table.hash(flow, TARGET);
  table.setType(flow, FlowType.Udp);
  table.activate(flow);
  return flow;
}

function find(table: FlowTable, port: number, pif: Pif): number {
  setKey(table, port, pif);
  return table.lookup();
}

function expectZeroRow(table: FlowTable, flow: number): void {
  expect([table.state[flow], table.type[flow], table.closed[flow]]).toEqual([0, 0, 0]);
  const at = wordsOf(flow << 1);
  expect(table.sides.slice(at, at + 2 * SIDE_WORDS).every((word) => word === 0)).toBe(true);
}

test("a flow is found by both sides while it is open", () => {
  const table = newTable(4);
  open(table, 1);
  const flow = open(table, 2);
  expect(find(table, 2, Pif.Tap)).toBe((flow << 1) | INITIATING);
  expect(find(table, 2, Pif.Host)).toBe((flow << 1) | TARGET);
  expect(find(table, 3, Pif.Tap)).toBe(NO_FLOW);
  expect(table.active).toBe(2);
});

test.each([1, 2, 3, 4])("cancelling after %d steps leaves nothing of the flow", (steps) => {
  const table = newTable(2);
  for (const step of STEPS.slice(0, steps)) step(table, 7);
  expect(FLOW_STATE_NAMES[table.state[0]]).toBe(FLOW_STATE_NAMES[steps]);
  table.cancel(0);
  expectZeroRow(table, 0);
  expect(table.active).toBe(0);
  expect(find(table, 7, Pif.Tap)).toBe(NO_FLOW);
  expect(find(table, 7, Pif.Host)).toBe(NO_FLOW);
  expect(table.allocate()).toBe(0);
});

test("a closed flow is found no more, yet its row is reused only after the sweep", () => {
  const table = newTable(3);
  const flow = open(table, 1);
  table.close(flow);
  table.close(flow);
  expect(find(table, 1, Pif.Tap)).toBe(NO_FLOW);
  expect(table.state[flow]).toBe(FlowState.Active);
  const other = open(table, 1);
  expect(other).not.toBe(flow);
  expect(find(table, 1, Pif.Tap)).toBe(other << 1);
  table.sweep();
  expectZeroRow(table, flow);
  expect(find(table, 1, Pif.Tap)).toBe(other << 1);
  expect(open(table, 2)).toBe(flow);
});

test("a full table refuses, and goes on when a row is free again", () => {
  const table = newTable(2);
  open(table, 1);
  open(table, 2);
  expect(table.allocate()).toBe(NO_FLOW);
  expect(table.allocate()).toBe(NO_FLOW);
  table.close(1);
  expect(table.allocate()).toBe(NO_FLOW);
  table.sweep();
  expect(table.allocate()).toBe(1);
});

test("two flows are never under construction at once, and none at the end of a cycle", () => {
  const table = newTable(2);
  table.allocate();
  expect(() => table.allocate()).toThrow("already under construction");
  expect(() => table.sweep()).toThrow("outlived");
});

test("only the flow under construction is written", () => {
  const table = newTable(2);
  const flow = open(table, 1);
  expect(() => table.initiate(flow)).toThrow("assertion");
  expect(() => table.cancel(flow)).toThrow("assertion");
  expect(() => table.activate(flow)).toThrow("assertion");
  expect(() => table.setType(flow, FlowType.Tcp)).toThrow("may not go");
});

test("a side must be somewhere", () => {
  const table = newTable(1);
  table.allocate();
  setKey(table, 1, Pif.None);
  expect(() => table.initiate(0)).toThrow("nowhere");
});

test("a side is hashed only once it is known, and never after the flow was closed", () => {
  const table = newTable(2);
  table.allocate();
  expect(() => table.hash(0, INITIATING)).toThrow("known side");
  setKey(table, 1, Pif.Tap);
  table.initiate(0);
  expect(() => table.hash(0, TARGET)).toThrow("known side");
  table.cancel(0);
  const flow = open(table, 1);
  table.close(flow);
  expect(() => table.hash(flow, INITIATING)).toThrow("known side");
});

test("only an active flow is closed", () => {
  const table = newTable(1);
  expect(() => table.close(0)).toThrow("not active");
  table.allocate();
  expect(() => table.close(0)).toThrow("not active");
});

test("unhash takes one side out and leaves the other", () => {
  const table = newTable(1);
  const flow = open(table, 1);
  table.unhash(flow, INITIATING);
  expect(find(table, 1, Pif.Tap)).toBe(NO_FLOW);
  expect(find(table, 1, Pif.Host)).toBe((flow << 1) | TARGET);
});

test("the hash differs between sides and between secrets", () => {
  const hashes = [1, 2].map((word) => {
    const table = new FlowTable(1, Uint32Array.of(word, 2, 3, 4));
    const flow = open(table, 1);
    const target = [table.hashLow, table.hashHigh];
    table.hash(flow, INITIATING);
    return [target, [table.hashLow, table.hashHigh]];
  });
  expect(new Set(hashes.flat().map(String)).size).toBe(4);
});

test("every change of state is told before it happens, while the row can still be read", () => {
  const table = newTable(1);
  const told: string[] = [];
  table.onTransition = (flow, from, to) => {
    const port = oursPort(table.sides, wordsOf(flow << 1));
    expect(table.state[flow]).toBe(from);
    told.push(`${FLOW_STATE_NAMES[from]} -> ${FLOW_STATE_NAMES[to]}, port ${port}`);
  };
  table.close(open(table, 1));
  table.sweep();
  expect(told).toEqual([
    "FREE -> NEW, port 0",
    "NEW -> INI, port 443",
    "INI -> TGT, port 443",
    "TGT -> TYPED, port 443",
    "TYPED -> ACTIVE, port 443",
    "ACTIVE -> FREE, port 443",
  ]);
});

test("forEach visits open flows in order, and may close them", () => {
  const table = newTable(200);
  for (let port = 0; port < 200; port++) open(table, port);
  for (let flow = 0; flow < 200; flow++) if (flow % 67 !== 0) table.close(flow);
  const visited: number[] = [];
  table.forEach((flow) => {
    visited.push(flow);
    table.close(flow);
  });
  expect(visited).toEqual([0, 67, 134]);
  table.sweep();
  table.forEach((flow) => visited.push(flow));
  expect(visited).toHaveLength(3);
  expect(table.active).toBe(0);
});

test("the key stands behind the sides and is one of them for whoever reads words", () => {
  const table = newTable(2);
  setKey(table, 0xfedc, Pif.Host);
  const { sides, keyWords } = table;
  expect(oursPort(sides, keyWords)).toBe(443);
  expect(endpointPort(sides, keyWords)).toBe(0xfedc);
  expect(sidePif(sides, keyWords)).toBe(Pif.Host);
  expect(sideProtocol(sides, keyWords)).toBe(6);
  expect(isMapped(sides, keyWords + SideWord.Ours)).toBe(true);
  open(table, 1);
  open(table, 2);
  expect(find(table, 2, Pif.Host)).toBe((1 << 1) | TARGET);
});

test("ports use their whole range", () => {
  const words = Uint32Array.of(0, 0, 0, 0, 0, 0, 0, 0, packPorts(65_535, 65_535), packKind(255, Pif.Tap));
  expect([oursPort(words, 0), endpointPort(words, 0), sideProtocol(words, 0)]).toEqual([65_535, 65_535, 255]);
});
