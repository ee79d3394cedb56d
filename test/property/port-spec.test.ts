/** Specifications of ports against the simplest model there is: what each of the 65,535 ports leads to. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { formatIp, isLoopback, isUnicast, parseIp } from "../../src/base/address.ts";
import type { PortRuleOptions } from "../../src/config/options.ts";
import {
  parsePortSpec,
  portOption,
  PORT_OPTIONS,
  PortSpecError,
  printPortRule,
  type PortRange,
} from "../../src/config/port-spec.ts";

const EPHEMERAL = { first: 32_768, last: 60_999 };
const LAST = 65_535;

const port = fc.oneof(
  fc.integer({ min: 1, max: LAST }),
  fc.integer({ min: 1, max: 40 }),
  fc.constantFrom(1, LAST),
);
const range: fc.Arbitrary<PortRange> = fc
  .tuple(port, port)
  .map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }));
const write = ({ first, last }: PortRange): string => (first === last ? `${first}` : `${first}-${last}`);

/** One range with where it leads to. */
const include = fc.tuple(range, fc.nat()).map(([{ first, last }, random]) => {
  const targetFirst = 1 + (random % (LAST - (last - first)));
  return {
    first,
    last,
    targetFirst,
    text: `${write({ first, last })}:${write({ first: targetFirst, last: targetFirst + last - first })}`,
  };
});

/** What each port of rules leads to; an array of numbers because several ranges may have the same port. */
function leadsTo(
  rules: readonly Pick<PortRuleOptions, "first" | "last" | "targetFirst">[],
): Map<number, string> {
  const found = new Map<number, number[]>();
  for (const { first, last, targetFirst } of rules) {
    for (let at = first; at <= last; at++)
      found.set(at, [...(found.get(at) ?? []), targetFirst + at - first]);
  }
  return new Map(Array.from(found, ([at, targets]) => [at, targets.join()] as const));
}

test("ranges and exclusions in any order mean what a set of ports means", () => {
  fc.assert(
    fc.property(
      fc.array(include, { minLength: 1, maxLength: 4 }),
      fc.array(range, { maxLength: 6 }),
      fc.nat(),
      (includes, excludes, seed) => {
        const entries = [...includes.map(({ text }) => text), ...excludes.map((each) => `~${write(each)}`)];
        const turned = entries.map((_, i) => entries[(i + seed) % entries.length]);
        const rules = parsePortSpec("-t", turned.join(), EPHEMERAL);
        // The order of overlapping ranges is that of the text.
        const ordered = turned.flatMap((text) => includes.filter((each) => each.text === text).slice(0, 1));
        const model = leadsTo(ordered);
        for (const { first, last } of excludes) for (let at = first; at <= last; at++) model.delete(at);
        expect(leadsTo(rules)).toEqual(model);
      },
    ),
    { numRuns: 40 },
  );
});

test("all is every port but the excluded and the ephemeral ones, in as few rules as possible", () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 6 }), range, (excludes, ephemeral) => {
      const rules = parsePortSpec(
        "-u",
        ["all", ...excludes.map((each) => `~${write(each)}`)].join(),
        ephemeral,
      );
      const model = new Set(Array.from({ length: LAST }, (_, i) => i + 1));
      for (const { first, last } of [...excludes, ephemeral])
        for (let at = first; at <= last; at++) model.delete(at);
      const runs = [...model].filter((at) => !model.has(at - 1));
      expect(rules.map(({ first }) => first)).toEqual(runs);
      expect(rules.reduce((sum, { first, last }) => sum + last - first + 1, 0)).toBe(model.size);
      expect(rules.every(({ first, targetFirst, weak }) => weak === true && targetFirst === first)).toBe(
        true,
      );
    }),
    { numRuns: 40 },
  );
});

const isTarget = (text: string): boolean => isUnicast(parseIp(text)!) && !isLoopback(parseIp(text)!);
const canonical = (text: string): string => formatIp(parseIp(text)!);
const device = fc
  .string({ unit: fc.constantFrom(...Array.from("abz09-_.%~,*[]@")), minLength: 1, maxLength: 15 })
  .filter((name) => name !== "." && name !== "..");

/** A rule as one entry can make it. */
const rule = fc
  .record({
    option: fc.constantFrom(...PORT_OPTIONS),
    ports: include,
    v6: fc.boolean(),
    four: fc.tuple(fc.ipV4(), fc.ipV4()),
    six: fc.tuple(fc.ipV6(), fc.ipV6()),
    address: fc.boolean(),
    device: fc.option(device, { nil: undefined }),
    target: fc.boolean(),
    scan: fc.boolean(),
    weak: fc.boolean(),
  })
  .filter(({ v6, four, six, option, address }) => {
    const [listen, target] = v6 ? six : four;
    const isIpv6 = canonical(listen).includes(":");
    // An address that is IPv4 in the clothes of IPv6 is IPv4.
    return (
      isIpv6 === v6 &&
      canonical(target).includes(":") === v6 &&
      isTarget(target) &&
      (option !== "-t" || !address || isUnicast(parseIp(listen)!))
    );
  })
  .map(({ option, ports, v6, four, six, address, device: name, target, scan, weak }): PortRuleOptions => {
    const isHost = option === "-t" || option === "-u";
    const [listen, inside] = (v6 ? six : four).map(canonical);
    // "all" has the same ports on both sides and stays out of the ephemeral ones.
    const [first, last, targetFirst] = weak
      ? [1 + (ports.first % 100), 100 + (ports.last % 32_000), 1 + (ports.first % 100)]
      : [ports.first, ports.last, ports.targetFirst];
    return {
      side: isHost ? "host" : "container",
      protocol: option === "-t" || option === "-T" ? "tcp" : "udp",
      ...(isHost && address && { address: listen }),
      ...(isHost ? name !== undefined && { interface: name } : { interface: "lo" }),
      first,
      last,
      ...(isHost && target && { targetAddress: inside }),
      targetFirst,
      ...(weak && { weak: true as const }),
      ...(scan && { scan: true as const }),
    };
  });

test("a printed rule is read as the same rule", () => {
  fc.assert(
    fc.property(rule, (each) => {
      expect(parsePortSpec(portOption(each), printPortRule(each), EPHEMERAL)).toEqual([each]);
    }),
    { numRuns: 2_000 },
  );
});

const noise = fc.oneof(
  fc.string({ unit: fc.constantFrom(...Array.from("0123456789-:,~/%*[]. alutonex")), maxLength: 30 }),
  fc.string(),
  fc
    .array(
      fc.constantFrom(
        "80",
        "1-5",
        ":",
        "/",
        ",",
        "~",
        "all",
        "auto",
        "none",
        "10.0.0.1",
        "[::1]",
        "fd00::1",
        "%lo",
        "-",
        "*",
      ),
      {
        maxLength: 8,
      },
    )
    .map((words) => words.join("")),
);

test("whatever the text is, the answer is rules that are printed and read again, or an error with a place", () => {
  let read = 0;
  fc.assert(
    fc.property(fc.constantFrom(...PORT_OPTIONS), noise, (option, text) => {
      try {
        const rules = parsePortSpec(option, text, EPHEMERAL);
        read++;
        const again = rules.flatMap((each) => parsePortSpec(option, printPortRule(each), EPHEMERAL));
        return JSON.stringify(again) === JSON.stringify(rules);
      } catch (error) {
        if (!(error instanceof PortSpecError)) throw error;
        return error.at >= 0 && error.at <= text.length;
      }
    }),
    { numRuns: 10_000 },
  );
  expect(read).toBeGreaterThan(200);
});
