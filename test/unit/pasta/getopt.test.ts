/** The command line is read as glibc's getopt_long(3) reads it. */
import { expect, test } from "@jest/globals";
import { readWords } from "../../../src/pasta/getopt.ts";

const SPECS = [
  { name: "quiet", short: "q", help: "" },
  { name: "foreground", short: "f", help: "" },
  { name: "mtu", short: "m", value: "N", help: "" },
  { name: "dns", short: "D", value: "ADDR", help: "" },
  { name: "dns-forward", value: "ADDR", help: "" },
  { name: "dns-host", value: "ADDR", help: "" },
];

/** Options as "name=value", then the rest or the error. */
function read(line: string): string {
  const { given, rest, error } = readWords(line === "" ? [] : line.split(" "), SPECS);
  const options = given.map(({ name, value }) => (value === "" ? name : `${name}=${value}`));
  return `${options.join(" ")} | ${error ?? rest.join(" ")}`;
}

test.each([
  ["", " | "],
  ["-q -f", "quiet foreground | "],
  ["-qf", "quiet foreground | "],
  ["-qfm 1500 x", "quiet foreground mtu=1500 | x"],
  ["-m1500", "mtu=1500 | "],
  ["-m=1500", "mtu==1500 | "],
  ["-m -q", "mtu=-q | "],
  ["--mtu 1500 --mtu=9000", "mtu=1500 mtu=9000 | "],
  ["--mtu=", "mtu | "],
  ["--dns=a=b", "dns=a=b | "],
  ["--m 1 --q --fore", "mtu=1 quiet foreground | "],
  ["--dns ::1", "dns=::1 | "],
  ["-q run -f --mtu 1", "quiet | run -f --mtu 1"],
  ["-q -- -f", "quiet | -f"],
  ["-q - -f", "quiet | - -f"],
])("%s is read as %s", (line, wanted) => {
  expect(read(line)).toBe(wanted);
});

test.each([
  ["--bogus", " | unrecognized option '--bogus'"],
  ["--bogus=1 -q", " | unrecognized option '--bogus'"],
  ["-q --bogus", "quiet | unrecognized option '--bogus'"],
  ["-Z", " | invalid option -- 'Z'"],
  ["-qZ", "quiet | invalid option -- 'Z'"],
  ["-m", " | option requires an argument -- 'm'"],
  ["--mtu", " | option '--mtu' requires an argument"],
  ["--mt", " | option '--mtu' requires an argument"],
  ["--quiet=3", " | option '--quiet' doesn't allow an argument"],
  ["--dns-", " | option '--dns-' is ambiguous; possibilities: '--dns-forward' '--dns-host'"],
])("%s is wrong", (line, wanted) => {
  expect(read(line)).toBe(wanted);
});
