import { afterEach, beforeEach, expect, test } from "@jest/globals";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LimitedFile } from "../../../src/log/limited-file.ts";

const LIMIT = 40_960;

let directory = "";
let path = "";
let fd = -1;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "log-"));
  path = join(directory, "log");
  writeFileSync(path, "the first line\n");
  fd = openSync(path, "r+");
});
afterEach(() => {
  closeSync(fd);
  rmSync(directory, { recursive: true });
});

const lines = (): string[] => readFileSync(path, "utf8").split("\n").slice(0, -1);
const line = (i: number): string => `${i} ${"x".repeat(i % 150)}`;

/** Appends numbered lines, and looks at the size after each. */
function fill(file: LimitedFile, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    expect(file.append(Buffer.from(`${line(i)}\n`))).toBe(line(i).length + 1);
    expect(statSync(path).size).toBeLessThanOrEqual(LIMIT);
  }
}

test("a full file loses about 30 % behind its first line, and lines stay whole", () => {
  fill(new LimitedFile(fd, LIMIT), 0, 5000);
  const [first, ...rest] = lines();
  expect(first).toBe("the first line");
  const start = Number(rest[0].split(" ", 1)[0]);
  expect(rest).toEqual(Array.from({ length: 5000 - start }, (_, i) => line(start + i)));
  expect(statSync(path).size).toBeGreaterThan(LIMIT * 0.69);
});

test("a file that was larger is made smaller at once", () => {
  writeFileSync(path, `the first line\n${Array.from({ length: 5000 }, (_, i) => `${line(i)}\n`).join("")}`);
  expect(statSync(path).size).toBeGreaterThan(5 * LIMIT);
  fill(new LimitedFile(fd, LIMIT), 5000, 5001);
  expect(statSync(path).size).toBeGreaterThan(LIMIT * 0.69);
  expect(lines().at(0)).toBe("the first line");
  expect(lines().at(-1)).toBe(line(5000));
});

test("what others append stays where it is", () => {
  const other = openSync(path, "a");
  const file = new LimitedFile(fd, LIMIT);
  file.append(Buffer.from("one\n"));
  writeSync(other, "a warning\n");
  file.append(Buffer.from("two\n"));
  closeSync(other);
  expect(lines()).toEqual(["the first line", "one", "a warning", "two"]);
});

test("a line that is too long for the file is not written", () => {
  const file = new LimitedFile(fd, LIMIT);
  fill(file, 0, 10);
  expect(file.append(Buffer.alloc(LIMIT, "x"))).toBe(0);
  fill(file, 10, 20);
  expect(lines()).toEqual(["the first line", ...Array.from({ length: 20 }, (_, i) => line(i))]);
});

test("a file of one endless line keeps to its limit", () => {
  writeFileSync(path, "x".repeat(LIMIT - 1));
  const file = new LimitedFile(fd, LIMIT);
  expect(file.append(Buffer.from("a line\n"))).toBe(0);
  expect(statSync(path).size).toBe(LIMIT - 1);
});
