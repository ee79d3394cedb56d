import { expect, test } from "@jest/globals";
import {
  FLOW_STATE_NAMES,
  FLOW_TRANSITIONS,
  FLOW_TYPE_NAMES,
  FlowState,
  FlowType,
  PIF_NAMES,
  Pif,
  flowTypeOrStateName,
} from "../../../src/flow/state.ts";
import { FlowTable, packKind } from "../../../src/flow/table.ts";

const STATES = Object.values(FlowState);

/** Asks the table to bring row 0, which is in state `from`, to state `to`: the state then. */
function attempt(from: FlowState, to: FlowState): number {
  const table = new FlowTable(1, new Uint32Array(4));
  table.key[9] = packKind(6, Pif.Tap);
  if (to === FlowState.New) {
    table.state[0] = from;
    table.allocate();
    return table.state[0];
  }
  table.allocate();
  table.state[0] = from;
  const steps: Record<Exclude<FlowState, 1>, () => void> = {
    [FlowState.Free]: () => table.cancel(0),
    [FlowState.Initiated]: () => table.initiate(0),
    [FlowState.Targeted]: () => table.target(0),
    [FlowState.Typed]: () => table.setType(0, FlowType.Tcp),
    [FlowState.Active]: () => table.activate(0),
  };
  steps[to]();
  return table.state[0];
}

const PAIRS = STATES.flatMap((from) =>
  STATES.map((to) => ({ from, to, name: `${FLOW_STATE_NAMES[from]} -> ${FLOW_STATE_NAMES[to]}` })),
);

test.each(PAIRS.filter(({ from, to }) => FLOW_TRANSITIONS[from].includes(to)))(
  "$name is done",
  ({ from, to }) => {
    expect(attempt(from, to)).toBe(to);
  },
);

test.each(PAIRS.filter(({ from, to }) => !FLOW_TRANSITIONS[from].includes(to)))(
  "$name is refused",
  ({ from, to }) => {
    expect(() => attempt(from, to)).toThrow("assertion failed");
  },
);

test("every number has a name", () => {
  expect(FLOW_STATE_NAMES).toHaveLength(STATES.length);
  expect(FLOW_TYPE_NAMES).toHaveLength(Object.values(FlowType).length);
  expect(PIF_NAMES).toHaveLength(Object.values(Pif).length);
  for (const numbers of [STATES, Object.values(FlowType), Object.values(Pif)]) {
    expect(numbers).toEqual(numbers.map((_, index) => index));
  }
});

test("a flow goes by its state until it has a type", () => {
  expect(flowTypeOrStateName(FlowState.Targeted, FlowType.None)).toBe("TGT");
  expect(flowTypeOrStateName(FlowState.Typed, FlowType.Ping6)).toBe("ping6");
  expect(flowTypeOrStateName(FlowState.Active, FlowType.Tcp)).toBe("TCP");
});
