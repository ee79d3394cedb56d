import { expect, test } from "@jest/globals";
import { FlowQueue } from "../../../src/flow/queue.ts";
import { NO_FLOW } from "../../../src/flow/table.ts";

test("rows leave in the order in which they came, each once, round and round", () => {
  const queue = new FlowQueue(4);
  for (let turn = 0; turn < 3; turn++) {
    for (const row of [3, 1, 3, 2, 1]) queue.add(row);
    expect([queue.length, queue.first]).toEqual([3, 3]);
    expect([queue.take(), queue.take(), queue.take()]).toEqual([3, 1, 2]);
    expect([queue.length, queue.first, queue.take()]).toEqual([0, NO_FLOW, NO_FLOW]);
  }
});

test("all rows fit", () => {
  const queue = new FlowQueue(3);
  queue.add(0);
  queue.take();
  for (const row of [0, 1, 2]) queue.add(row);
  expect([queue.take(), queue.take(), queue.take()]).toEqual([0, 1, 2]);
});
