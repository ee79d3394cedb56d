/**
 * The language in which ports are written, the same at every entry point:
 *
 *   SPEC   = "none" | [ [ADDR | "*"] [ "%" INTERFACE ] "/" ] ENTRY { "," ENTRY }
 *   ENTRY  = "all" [ ":" ADDR ] | "auto" | "~" RANGE | RANGE [ ":" TARGET ]
 *   TARGET = ADDR | [ ADDR "/" ] RANGE
 *   RANGE  = PORT [ "-" PORT ]
 *
 * An address may stand in brackets. One in front of the first slash is where to listen, so a target address of
 * IPv6 that could be read as a part of that needs them. The order of entries does not matter: what is excluded
 * with "~" is taken out of every range, and "auto" goes for every range. Options of the container (-T, -U) take
 * ports only.
 */
import { formatIp, isGroup, isIpv4, isLoopback, isUnicast, parseIp } from "../base/address.ts";
import { PORT_RULES_MAX, type PortRuleOptions } from "./options.ts";
import { interfaceName, ValueError } from "./values.ts";

/** Who initiates, and by which protocol: clients of the host by TCP and UDP, the container by TCP and UDP. */
export const PORT_OPTIONS = ["-t", "-u", "-T", "-U"] as const;
export type PortOption = (typeof PORT_OPTIONS)[number];

/** Ports, both ends included. */
export interface PortRange {
  first: number;
  last: number;
}

const PORT_MAX = 0xffff;
/** The interface on which the container's programs reach what the host forwards to them. */
const LOOPBACK_INTERFACE = "lo";
/** How much of a long text an error shows on each side of the place. */
const SHOWN = 36;

/** A specification that cannot be read. The message is one sentence, and below it the text with a caret. */
export class PortSpecError extends Error {
  readonly option: PortOption;
  readonly text: string;
  /** Index into `text` of what is wrong; its length when something is missing at the end. */
  readonly at: number;
  /** The sentence without option, text and caret. */
  readonly why: string;
  constructor(option: PortOption, text: string, at: number, why: string) {
    super(`${option}: ${why}\n${markPlace(text, at)}`);
    this.name = "PortSpecError";
    this.option = option;
    this.text = text;
    this.at = at;
    this.why = why;
  }
}

/** Two lines: the text, or what is near the place, and a caret below the place. */
function markPlace(text: string, at: number): string {
  const from = Math.max(0, at - SHOWN);
  const shown = text.slice(from, at + SHOWN);
  // Anything that would not take one column would move the caret.
  return `  ${shown.replaceAll(/[^ -~]/g, "?")}\n  ${" ".repeat(at - from)}^`;
}

/** A range that is forwarded. */
interface Include extends PortRange {
  targetFirst: number;
  targetAddress?: string;
  weak?: true;
}

interface Listen {
  address?: string;
  interface?: string;
}

/**
 * Reads one value of an option. "none" gives no rules; so does a range of which everything is excluded.
 * @param ephemeral ports that the kernel gives to outgoing connections, which "all" leaves alone
 * Throws PortSpecError.
 */
export function parsePortSpec(option: PortOption, text: string, ephemeral: PortRange): PortRuleOptions[] {
  if (text === "none") return [];
  return new SpecReader(option, text).read(ephemeral);
}

/**
 * The rules of all given values, those of each option in their order. Throws PortSpecError.
 * @param ephemeral see parsePortSpec
 */
export function combinePortSpecs(
  given: ReadonlyMap<PortOption, readonly string[]>,
  ephemeral: PortRange,
): PortRuleOptions[] {
  const rules: PortRuleOptions[] = [];
  for (const [option, texts] of given) {
    const before = rules.length;
    for (const text of texts) {
      if (text === "none" && rules.length > before) {
        throw new PortSpecError(option, text, 0, "none contradicts the ports given before it");
      }
      rules.push(...parsePortSpec(option, text, ephemeral));
      if (rules.length > PORT_RULES_MAX) {
        throw new PortSpecError(option, text, 0, `this makes more than ${PORT_RULES_MAX} rules; use ranges`);
      }
    }
  }
  return rules;
}

/** The option that a rule is written with. */
export function portOption({ side, protocol }: Pick<PortRuleOptions, "side" | "protocol">): PortOption {
  if (side === "host") return protocol === "tcp" ? "-t" : "-u";
  return protocol === "tcp" ? "-T" : "-U";
}

/** A rule as an option of the command line: "-t 8080:80". */
export const portRuleText = (rule: PortRuleOptions): string => `${portOption(rule)} ${printPortRule(rule)}`;

/** The specification that gives this one rule, provided that a weak rule keeps out of the ephemeral ports. */
export function printPortRule(rule: PortRuleOptions): string {
  const target = rule.targetAddress;
  const entries = [rule.weak === true ? printWeak(rule, target) : printInclude(rule, target)];
  if (rule.scan === true) entries.push("auto");
  return `${rule.side === "host" ? printListen(rule) : ""}${entries.join(",")}`;
}

function printListen({ address, interface: device }: Listen): string {
  if (address === undefined && device === undefined) return "";
  return `${address === undefined ? "" : printAddress(address)}${device === undefined ? "" : `%${device}`}/`;
}

const printAddress = (address: string): string => (address.includes(":") ? `[${address}]` : address);

const printRange = ({ first, last }: PortRange): string =>
  first === last ? String(first) : `${first}-${last}`;

function printInclude({ first, last, targetFirst }: PortRuleOptions, target: string | undefined): string {
  const ports =
    targetFirst === first ? undefined : printRange({ first: targetFirst, last: targetFirst + last - first });
  const words = [target === undefined ? undefined : printAddress(target), ports].filter(
    (each) => each !== undefined,
  );
  return [printRange({ first, last }), ...(words.length === 0 ? [] : [words.join("/")])].join(":");
}

/** Only "all" makes weak rules: everything else is excluded. */
function printWeak({ first, last }: PortRuleOptions, target: string | undefined): string {
  const others = [
    { first: 1, last: first - 1 },
    { first: last + 1, last: PORT_MAX },
  ].filter((range) => range.first <= range.last);
  const all = target === undefined ? "all" : `all:${printAddress(target)}`;
  return [all, ...others.map((range) => `~${printRange(range)}`)].join(",");
}

class SpecReader {
  private readonly option: PortOption;
  private readonly text: string;
  private at = 0;
  private readonly includes: Include[] = [];
  private readonly excludes: PortRange[] = [];
  private scan = false;

  constructor(option: PortOption, text: string) {
    this.option = option;
    this.text = text;
  }

  read(ephemeral: PortRange): PortRuleOptions[] {
    const side = this.option === "-t" || this.option === "-u" ? "host" : "container";
    const protocol = this.option === "-t" || this.option === "-T" ? "tcp" : "udp";
    this.refuseForeign(side === "container");
    const listen = this.listen(side === "container");
    do this.entry(listen);
    while (this.take(","));
    if (this.at < this.text.length) throw this.error("a comma or the end should stand here");
    if (this.includes.length === 0) this.includes.push(everyPort());
    const holes = this.excludes.toSorted((a, b) => a.first - b.first);
    const holesOfAll = [...this.excludes, ephemeral].toSorted((a, b) => a.first - b.first);
    return this.includes.flatMap(({ targetFirst, targetAddress, weak, ...range }) =>
      subtract(range, weak === true ? holesOfAll : holes).map(({ first, last }) => ({
        side,
        protocol,
        ...listen,
        first,
        last,
        ...(targetAddress !== undefined && { targetAddress }),
        targetFirst: targetFirst + first - range.first,
        ...(weak && { weak }),
        ...(this.scan && { scan: true as const }),
      })),
    );
  }

  private error(why: string, at = this.at): PortSpecError {
    return new PortSpecError(this.option, this.text, at, why);
  }

  private portsOnly(): PortSpecError {
    return this.error(`${this.option} takes ports only: it listens on the container's loopback`, 0);
  }

  /** Goes behind `word` if that is what comes next. */
  private take(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  /** The index of the first of `marks` from here on, or the end. */
  private find(marks: RegExp): number {
    const found = this.text.slice(this.at).search(marks);
    return found < 0 ? this.text.length : this.at + found;
  }

  /** Says how it is written here what other programs write differently. */
  private refuseForeign(isContainer: boolean): void {
    const { text, option } = this;
    const address = /^(?:\d+(?:\.\d+){3}|\[[^\]]*\])(?=[:,]|$)/.exec(text);
    if (address !== null) {
      if (isContainer) throw this.portsOnly();
      throw this.error("a slash and ports should stand behind this address", address[0].length);
    }
    const scope = /^\[[^\]%]*%[^\]]*\]/.test(text) ? text.indexOf("%") : -1;
    if (scope >= 0) throw this.error("the interface belongs behind the bracket", scope);
    const protocol = text.search(/\/(?:tcp|udp)$/i);
    if (protocol > 0) throw this.error(`${option} says the protocol already`, protocol);
  }

  /** What stands in front of the first slash, unless that already is an entry. */
  private listen(isContainer: boolean): Listen {
    const slash = this.text.indexOf("/");
    const head = this.text.slice(0, slash);
    if (slash < 0 || (STARTS_WITH_ENTRY.test(head) && parseIp(head.split("%", 1)[0]) === undefined)) {
      return isContainer ? { interface: LOOPBACK_INTERFACE } : {};
    }
    if (isContainer) throw this.portsOnly();
    const listen: Listen = {};
    const percent = this.find(/[%/]/);
    if (percent > 0 && this.text.slice(0, percent) !== "*") {
      const address = this.address(percent);
      if (this.option === "-t" && isGroup(address))
        throw this.error("TCP has no multicast or broadcast addresses", 0);
      listen.address = formatIp(address);
    }
    if (percent < slash) listen.interface = this.interfaceName(percent + 1, slash);
    this.at = slash + 1;
    return listen;
  }

  private interfaceName(from: number, to: number): string {
    try {
      return interfaceName(this.text.slice(from, to));
    } catch (cause) {
      if (cause instanceof ValueError) throw this.error(`this is ${cause.message}`, from);
      throw cause;
    }
  }

  /** Reads an address up to `end`. */
  private address(end: number): Uint32Array {
    const from = this.at;
    const word = this.text.slice(from, end);
    const hasBrackets = word.startsWith("[");
    if (hasBrackets && !word.endsWith("]")) throw this.error("this bracket is not closed", from);
    const address = parseIp(hasBrackets ? word.slice(1, -1) : word);
    if (address === undefined) throw this.error("this is not an IP address", from);
    this.at = end;
    return address;
  }

  private entry(listen: Listen): void {
    if (this.take("auto")) {
      this.scan = true;
    } else if (this.take("~")) {
      this.excludes.push(this.range());
    } else if (this.take("all")) {
      const all = everyPort();
      if (this.take(":")) {
        const end = this.find(/[,/]/);
        if (this.text[end] === "/")
          throw this.error("all ports go to the same ports: an address alone should stand here");
        all.targetAddress = this.targetAddress(end, listen);
      }
      this.includes.push(all);
    } else if (this.text.startsWith("none", this.at)) {
      throw this.error("none stands alone");
    } else {
      const range = this.range();
      this.includes.push({
        ...range,
        ...(this.take(":") ? this.target(range, listen) : { targetFirst: range.first }),
      });
    }
  }

  private target(range: PortRange, listen: Listen): Pick<Include, "targetFirst" | "targetAddress"> {
    const end = this.find(/,|$/);
    const stop = this.find(/[,/]/);
    const hasSlash = stop < end;
    if (!hasSlash && /^[\d-]*$/.test(this.text.slice(this.at, end))) {
      return { targetFirst: this.targetPorts(range) };
    }
    const targetAddress = this.targetAddress(stop, listen);
    return { targetFirst: this.take("/") ? this.targetPorts(range) : range.first, targetAddress };
  }

  private targetAddress(end: number, listen: Listen): string {
    const from = this.at;
    if (this.option === "-T" || this.option === "-U") {
      throw this.error(
        `${this.option} changes ports only: connections go to the address on the host's loopback`,
      );
    }
    const address = this.address(end);
    if (!isUnicast(address)) throw this.error("this is not the address of a host", from);
    if (isLoopback(address)) {
      throw this.error(
        "the container's loopback cannot be reached from outside; see --host-lo-to-ns-lo",
        from,
      );
    }
    if (listen.address !== undefined && isIpv4(parseIp(listen.address)!) !== isIpv4(address)) {
      throw this.error(`this address is not of the family of ${listen.address}`, from);
    }
    return formatIp(address);
  }

  /** The first target port of a range, behind its target range. */
  private targetPorts(range: PortRange): number {
    const from = this.at;
    const target = this.range();
    const [have, want] = [target.last - target.first, range.last - range.first];
    if (have !== want)
      throw this.error(`${want + 1} port${want === 0 ? "" : "s"} cannot lead to ${have + 1}`, from);
    return target.first;
  }

  private range(): PortRange {
    const first = this.port();
    if (!this.take("-")) return { first, last: first };
    const from = this.at;
    const last = this.port();
    if (last < first) throw this.error(`the range ends before it begins: write ${last}-${first}`, from);
    return { first, last };
  }

  private port(): number {
    const end = this.find(/\D|$/);
    const digits = this.text.slice(this.at, end);
    if (digits === "") throw this.error("a port should stand here");
    const port = Number(digits);
    if (port < 1 || port > PORT_MAX) throw this.error(`ports go from 1 to ${PORT_MAX}`);
    this.at = end;
    return port;
  }
}

/** What can only be an entry, but for addresses of IPv6 that begin with digits. */
const STARTS_WITH_ENTRY = /^(?:\d+(?:-\d+)?|all|auto)[:,]|^~/;

const everyPort = (): Include => ({ first: 1, last: PORT_MAX, targetFirst: 1, weak: true });

/** What remains of a range. @param holes in the order of their first ports */
function subtract({ first, last }: PortRange, holes: readonly PortRange[]): PortRange[] {
  const left: PortRange[] = [];
  let next = first;
  for (const hole of holes) {
    if (hole.first > last) break;
    if (hole.first > next) left.push({ first: next, last: hole.first - 1 });
    next = Math.max(next, hole.last + 1);
  }
  if (next <= last) left.push({ first: next, last });
  return left;
}
