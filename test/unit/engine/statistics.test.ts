import { expect, test } from "@jest/globals";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Count, Counters } from "../../../src/base/counters.ts";
import { Statistics } from "../../../src/engine/statistics.ts";
import { close } from "../../../src/ffi/libc.ts";

test("counters are printed with what has come since, and only when something has", () => {
  const directory = mkdtempSync(join(tmpdir(), "statistics-"));
  const path = join(directory, "out");
  const fd = openSync(path, "w");
  const counters = new Counters();
  const statistics = new Statistics(fd, 60, counters);
  statistics.print();
  counters.add(Count.tapFramesIn, 5);
  statistics.print();
  statistics.print();
  counters.add(Count.tapFramesIn);
  counters.add(Count.dropReceivedTooLong, 7);
  statistics.print();
  expect(readFileSync(path, "utf8")).toBe(`\
counter                          total           since
tapFramesIn                          5              +5

counter                          total           since
tapFramesIn                          6              +1
dropReceivedTooLong                  7              +7

`);
  close(statistics.timer);
  closeSync(fd);
  rmSync(directory, { recursive: true });
});
