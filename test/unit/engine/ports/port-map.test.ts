import { expect, test } from "@jest/globals";
import { PortMap } from "../../../../src/engine/ports/port-map.ts";

const ALL = [0, 1, 31, 32, 80, 32_767, 32_768, 65_534, 65_535];

const portsOf = (map: PortMap): number[] =>
  Array.from({ length: 0x10000 }, (_, port) => port).filter((port) => map.has(port));

test("ports come and go, each by itself", () => {
  const map = new PortMap();
  for (const port of ALL) map.add(port);
  expect(portsOf(map)).toEqual(ALL);
  map.delete(32);
  map.delete(33);
  expect(portsOf(map)).toEqual(ALL.filter((port) => port !== 32));
  map.clear();
  expect(portsOf(map)).toEqual([]);
});

test("sets are copied, joined and compared", () => {
  const [a, b] = [new PortMap(), new PortMap()];
  a.add(80);
  b.add(65_535);
  expect(a.equals(b)).toBe(false);
  a.addAll(b);
  expect(portsOf(a)).toEqual([80, 65_535]);
  b.set(a);
  expect(b.equals(a)).toBe(true);
  b.delete(80);
  expect(portsOf(a)).toEqual([80, 65_535]);
});
