import { expect, test } from "@jest/globals";
import { parseArguments, type OptionSpec } from "../../../src/config/command-line.ts";

const SPECS: readonly OptionSpec[] = [
  { name: "mtu", value: "BYTES", help: "" },
  { name: "address", short: "a", value: "ADDR", repeatable: true, help: "" },
  { name: "ipv4-only", short: "4", help: "" },
];

function parse(
  line: string,
  until: "argument" | "end" = "argument",
): { values: Record<string, readonly string[]>; rest: readonly string[] } {
  const { values, rest } = parseArguments(line === "" ? [] : line.split(" "), SPECS, until);
  return { values: Object.fromEntries(values), rest };
}

test("options take their value after a space or after an equals sign", () => {
  expect(parse("--mtu 1500").values).toEqual({ mtu: ["1500"] });
  expect(parse("--mtu=1500").values).toEqual({ mtu: ["1500"] });
  expect(parse("--mtu=").values).toEqual({ mtu: [""] });
  expect(parse("--mtu --mtu").values).toEqual({ mtu: ["--mtu"] });
});

test("the value of a short option may stand right behind it", () => {
  expect(parse("-a192.0.2.1/24 -a=b -a c").values).toEqual({ address: ["192.0.2.1/24", "b", "c"] });
  expect(() => parse("-46")).toThrow("unknown option -46");
});

test("a repeatable option keeps all values, any other the last one", () => {
  expect(parse("--address a --address=b").values).toEqual({ address: ["a", "b"] });
  expect(parse("--mtu 1 --mtu 2").values).toEqual({ mtu: ["2"] });
});

test("short and long names are the same option", () => {
  expect(parse("-4").values).toEqual(parse("--ipv4-only").values);
});

test("options end at the first other argument or at a double dash", () => {
  expect(parse("-4 curl -s --mtu 1")).toEqual({
    values: { "ipv4-only": [""] },
    rest: ["curl", "-s", "--mtu", "1"],
  });
  expect(parse("-- -4").rest).toEqual(["-4"]);
  expect(parse("- -4").rest).toEqual(["-", "-4"]);
  expect(parse("a -- b").rest).toEqual(["a", "--", "b"]);
  expect(parse("").rest).toEqual([]);
});

test("where no command follows, options and other arguments mix", () => {
  expect(parse("20 --mtu 1500 30 -- -4", "end")).toEqual({
    values: { mtu: ["1500"] },
    rest: ["20", "30", "-4"],
  });
});

test("a wrong command line is refused in one sentence", () => {
  expect(() => parse("--foo")).toThrow("unknown option --foo (see");
  expect(() => parse("--addr=1")).toThrow("unknown option --addr; did you mean --address?");
  expect(() => parse("-x")).toThrow("unknown option -x (see");
  expect(() => parse("--mtu")).toThrow("--mtu needs a value: --mtu BYTES");
  expect(() => parse("--ipv4-only=1")).toThrow("--ipv4-only takes no value");
});

test("an option without a short name is not found by one", () => {
  expect(() => parse("-undefined")).toThrow("unknown option -undefined");
});
