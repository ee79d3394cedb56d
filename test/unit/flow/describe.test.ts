import { expect, test } from "@jest/globals";
import { describeFlow, describeTransition } from "../../../src/flow/describe.ts";
import { FlowType, Pif } from "../../../src/flow/state.ts";
import { FlowTable, packKind, packPorts } from "../../../src/flow/table.ts";

const GUEST = [0, 0, 0xffff, 0xc6336402];
const PEER = [0, 0, 0xffff, 0xcb007101];
const LOCAL6 = [0x20010db8, 0, 0, 0x10];
const PEER6 = [0x20010db8, 1, 0, 0x20];

test("a flow says what is known of it at every stage", () => {
  const table = new FlowTable(2, new Uint32Array(4));
  const told: string[] = [];
  table.onTransition = (flow, from, to) => told.push(describeTransition(table, flow, from, to));
  expect(describeFlow(table, 0)).toBe("flow 0 (FREE)");

  const flow = table.allocate();
  expect(describeFlow(table, flow)).toBe("flow 0 (NEW)");

  table.key.set([...PEER, ...GUEST, packPorts(443, 49_152), packKind(6, Pif.Tap)]);
  table.initiate(flow);
  expect(describeFlow(table, flow)).toBe("flow 0 (INI): TAP [198.51.100.2]:49152 -> [203.0.113.1]:443 => ?");

  table.key.set([...LOCAL6, ...PEER6, packPorts(50_000, 443), packKind(6, Pif.Host)]);
  table.target(flow);
  const sides =
    "TAP [198.51.100.2]:49152 -> [203.0.113.1]:443 => HOST [2001:db8::10]:50000 -> [2001:db8:0:1::20]:443";
  expect(describeFlow(table, flow)).toBe(`flow 0 (TGT): ${sides}`);

  table.setType(flow, FlowType.Tcp);
  table.activate(flow);
  expect(describeFlow(table, flow)).toBe(`flow 0 (TCP): ${sides}`);

  table.close(flow);
  table.sweep();
  expect(told).toEqual([
    "flow 0 (NEW): FREE -> NEW",
    "flow 0 (INI): NEW -> INI, TAP [198.51.100.2]:49152 -> [203.0.113.1]:443 => ?",
    `flow 0 (TGT): INI -> TGT, ${sides}`,
    `flow 0 (TCP): TGT -> TYPED, ${sides}`,
    `flow 0 (TCP): TYPED -> ACTIVE, ${sides}`,
    `flow 0 (TCP): ACTIVE -> FREE, ${sides}`,
  ]);
});
