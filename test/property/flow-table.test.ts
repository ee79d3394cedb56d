import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { assert } from "../../src/base/assert.ts";
import { FLOW_TRANSITIONS, FlowState, FlowType, Pif } from "../../src/flow/state.ts";
import { FlowTable, NO_FLOW, SIDE_WORDS, packKind, packPorts, wordsOf } from "../../src/flow/table.ts";

const CAPACITY = 5;
const TUPLES = 6;

/** What the table must be like: plain objects, one for each row that is not FREE. */
interface Row {
  state: FlowState;
  closed: boolean;
  /** Tuple of each side, and whether it can be found. */
  sides: ({ tuple: number; hashed: boolean } | undefined)[];
}
interface Model {
  rows: (Row | undefined)[];
  building: number;
}
type Command = fc.Command<Model, FlowTable>;

function setKey(table: FlowTable, tuple: number): void {
  table.key.set([0, 0, 0xffff, 1, 0, 0, 0xffff, 2, packPorts(80, 1000 + tuple), packKind(6, Pif.Tap)]);
}

function checkAll(model: Model, table: FlowTable): void {
  expect([...table.state]).toEqual(model.rows.map((row) => row?.state ?? FlowState.Free));
  expect([...table.closed]).toEqual(model.rows.map((row) => (row?.closed === true ? 1 : 0)));
  const isZero = model.rows.map((_, flow) => {
    const at = wordsOf(flow << 1);
    return (
      table.type[flow] === 0 && table.sides.subarray(at, at + 2 * SIDE_WORDS).every((word) => word === 0)
    );
  });
  expect(model.rows.every((row, flow) => row !== undefined || isZero[flow])).toBe(true);
  expect(table.active).toBe(model.rows.filter((row) => row !== undefined).length);
  const lost = Array.from({ length: TUPLES }, (_, tuple) => tuple).filter((tuple) => {
    const sides = model.rows.flatMap((row, flow) =>
      (row?.sides ?? []).map((side, i) =>
        side?.hashed === true && side.tuple === tuple ? (flow << 1) | i : -1,
      ),
    );
    const expected = sides.filter((side) => side !== -1);
    setKey(table, tuple);
    return !(expected.length === 0 ? [NO_FLOW] : expected).includes(table.lookup());
  });
  expect(lost).toEqual([]);
  const open: number[] = [];
  table.forEach((flow) => open.push(flow));
  expect(open).toEqual(
    model.rows.flatMap((row, flow) => (row?.state === FlowState.Active && !row.closed ? [flow] : [])),
  );
}

/** A command that applies while `when` holds, and is followed by a comparison of everything. */
function command(
  name: string,
  when: (model: Model) => boolean,
  run: (model: Model, table: FlowTable) => void,
): Command {
  return {
    check: when,
    run: (model, table) => {
      run(model, table);
      checkAll(model, table);
    },
    toString: () => name,
  };
}

const inState = (state: FlowState) => (model: Model) =>
  model.building !== NO_FLOW && model.rows[model.building]!.state === state;

const allocate = command(
  "allocate",
  (model) => model.building === NO_FLOW,
  (model, table) => {
    const lowest = model.rows.indexOf(undefined);
    assert(table.allocate() === lowest, `row ${lowest} is the lowest free one`);
    if (lowest === NO_FLOW) return;
    model.building = lowest;
    model.rows[lowest] = { state: FlowState.New, closed: false, sides: [undefined, undefined] };
  },
);

const store = (side: 0 | 1, tuple: number): Command =>
  command(
    `${side === 0 ? "initiate" : "target"}(${tuple})`,
    inState(side === 0 ? FlowState.New : FlowState.Initiated),
    (model, table) => {
      setKey(table, tuple);
      if (side === 0) table.initiate(model.building);
      else table.target(model.building);
      const row = model.rows[model.building]!;
      row.sides[side] = { tuple, hashed: false };
      row.state = side === 0 ? FlowState.Initiated : FlowState.Targeted;
    },
  );

const setType = command("setType", inState(FlowState.Targeted), (model, table) => {
  table.setType(model.building, FlowType.Udp);
  model.rows[model.building]!.state = FlowState.Typed;
});

const activate = command("activate", inState(FlowState.Typed), (model, table) => {
  table.activate(model.building);
  model.rows[model.building]!.state = FlowState.Active;
  model.building = NO_FLOW;
});

const cancel = command(
  "cancel",
  (model) => model.building !== NO_FLOW,
  (model, table) => {
    table.cancel(model.building);
    model.rows[model.building] = undefined;
    model.building = NO_FLOW;
  },
);

const hash = (flow: number, side: number, on: boolean): Command =>
  command(
    `${on ? "hash" : "unhash"}(${flow}, ${side})`,
    (model) => model.rows[flow]?.sides[side] !== undefined && !model.rows[flow].closed,
    (model, table) => {
      if (on) table.hash(flow, side);
      else table.unhash(flow, side);
      model.rows[flow]!.sides[side]!.hashed = on;
    },
  );

const close = (flow: number): Command =>
  command(
    `close(${flow})`,
    (model) => model.rows[flow]?.state === FlowState.Active,
    (model, table) => {
      table.close(flow);
      const row = model.rows[flow]!;
      row.closed = true;
      for (const side of row.sides) side!.hashed = false;
    },
  );

const sweep = command(
  "sweep",
  (model) => model.building === NO_FLOW,
  (model, table) => {
    table.sweep();
    model.rows = model.rows.map((row) => (row?.closed === true ? undefined : row));
  },
);

const row = fc.nat(CAPACITY - 1);
const tuple = fc.nat(TUPLES - 1);
const forwards = [
  fc.constant(allocate),
  tuple.map((seed) => store(0, seed)),
  tuple.map((seed) => store(1, seed)),
  fc.constant(setType),
  fc.constant(activate),
];
const commands = fc.commands(
  [
    // Twice, for a walk that comes to ACTIVE often enough.
    ...forwards,
    ...forwards,
    fc.constant(cancel),
    fc.constant(sweep),
    row.map(close),
    fc.tuple(row, fc.nat(1)).map(([flow, side]) => hash(flow, side, true)),
    fc.tuple(row, fc.nat(1)).map(([flow, side]) => hash(flow, side, false)),
  ],
  { maxCommands: 200, size: "max" },
);

test("whatever is done to the table, it stays in step with its model", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(commands, (steps) => {
      const table = new FlowTable(CAPACITY, Uint32Array.of(1, 2, 3, 4));
      table.onTransition = (flow, from, to) => {
        expect(table.state[flow]).toBe(from);
        expect(FLOW_TRANSITIONS[from as FlowState]).toContain(to);
        seen.add(`${from}>${to}`);
      };
      const model: Model = { rows: Array.from({ length: CAPACITY }, () => undefined), building: NO_FLOW };
      fc.modelRun(() => ({ model, real: table }), steps);
    }),
    { numRuns: 150 },
  );
  // The walk has been everywhere: all ten transitions, cancellation at each stage among them.
  expect(seen.size).toBe(Object.values(FLOW_TRANSITIONS).flat().length);
});
