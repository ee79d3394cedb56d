import { expect, test } from "@jest/globals";
import { parseIp } from "../../../../src/base/address.ts";
import type { PortRuleOptions } from "../../../../src/config/options.ts";
import { BindPoints } from "../../../../src/engine/ports/bind-points.ts";
import { Presence } from "../../../../src/engine/ports/presence.ts";
import { toPortRules } from "../../../../src/engine/ports/rules-from-options.ts";
import { PortScan, type PortScanOptions } from "../../../../src/engine/ports/scan.ts";
import type { PortRule } from "../../../../src/forward/port-rule.ts";
import type { SockDiag, WaitingSocket } from "../../../../src/kernel/sock-diag.ts";

const BOTH = { ipv4: true, ipv6: true };

/** Who listens: "tcp 127.0.0.1 80", with "%3" behind the address for interface 3 and "*" for every address. */
class Namespace {
  listeners: string[] = [];
  result = 0;

  dump(protocol: number, v6: boolean, visit: (socket: WaitingSocket) => void): number {
    for (const text of this.listeners) {
      const [name, where, port] = text.split(" ");
      const [address, index] = where.split("%");
      const isDual = address === "*";
      const isV6 = isDual || address.includes(":");
      if ((name === "tcp" ? 6 : 17) !== protocol || isV6 !== v6) continue;
      const words = parseIp(isDual ? "::" : address)!;
      visit({ address: words, port: Number(port), isDual, index: Number(index ?? 0), uid: 0, inode: 1 });
    }
    return this.result;
  }
}

function rule(
  side: "host" | "container",
  protocol: "tcp" | "udp",
  more: Partial<PortRuleOptions> = {},
): PortRule {
  const options = { side, protocol, first: 1, last: 65_535, targetFirst: 1, scan: true as const, ...more };
  return toPortRules([options], BOTH)[0];
}

const RULES = {
  "-t": rule("host", "tcp"),
  "-u": rule("host", "udp"),
  "-T": rule("container", "tcp"),
  "-U": rule("container", "udp"),
};

class World {
  readonly host = new Namespace();
  readonly container = new Namespace();
  readonly points = new BindPoints(
    new Presence({ enabled: BOTH, hostScope: () => 0, freebind: false, follow: false }),
  );
  readonly scan: PortScan;

  constructor(options: Partial<PortScanOptions> = {}) {
    this.scan = new PortScan({
      host: this.host as unknown as SockDiag,
      container: this.container as unknown as SockDiag,
      families: BOTH,
      hostLoopbackToContainer: false,
      ...options,
    });
  }

  /** Looks, and tells the ports that each kind of rule wants. */
  wanted(): Record<string, number[]> {
    this.scan.read(this.points);
    return this.now();
  }

  now(): Record<string, number[]> {
    const wanted = Object.entries(RULES).map(([option, each]): [string, number[]] => {
      const ports = Array.from({ length: 65_535 }, (_, i) => i + 1);
      return [option, ports.filter((port) => this.scan.isListening(each, port))];
    });
    return Object.fromEntries(wanted.filter(([, ports]) => ports.length > 0));
  }

  /** We listen there ourselves. */
  own(option: keyof typeof RULES, port: number): void {
    const [point] = this.points.ofRule(RULES[option]);
    this.points.add(point, port, this.points.slots().length);
  }
}

test("a TCP port wants its UDP port too, not the other way round", () => {
  const world = new World();
  world.container.listeners = ["tcp * 80", "udp * 53"];
  world.host.listeners = ["tcp * 8080"];
  expect(world.wanted()).toEqual({ "-t": [80], "-u": [53, 80], "-T": [8080], "-U": [8080] });
});

test("listeners count that could be reached", () => {
  const world = new World();
  const everywhere = [
    "tcp 127.0.0.1 1",
    "tcp ::1 2",
    "tcp 0.0.0.0 3",
    "tcp :: 4",
    "tcp 192.0.2.1 5",
    "tcp 2001:db8::1 6",
    "tcp *%1 7",
    "tcp *%2 8",
    "udp 224.0.0.251 9",
    "udp ff02::fb 10",
  ];
  world.container.listeners = everywhere;
  expect(world.wanted()["-t"]).toEqual([3, 4, 5, 6, 7, 8]);
  expect(world.wanted()["-u"]).toEqual([3, 4, 5, 6, 7, 8]);
  world.container.listeners = [];
  world.host.listeners = everywhere;
  expect(world.wanted()).toEqual({ "-T": [1, 2, 3, 4, 7], "-U": [1, 2, 3, 4, 7] });
});

test("where the host's loopback leads to the container's, what listens there alone counts too", () => {
  const world = new World({ hostLoopbackToContainer: true });
  world.container.listeners = ["tcp 127.0.0.1 1", "tcp ::1 2"];
  expect(world.wanted()).toEqual({ "-t": [1, 2], "-u": [1, 2] });
});

test("only families that are on count; a socket for both has either", () => {
  const world = new World({ families: { ipv4: true, ipv6: false } });
  world.container.listeners = ["tcp 0.0.0.0 1", "tcp :: 2", "tcp * 3"];
  expect(world.wanted()["-t"]).toEqual([1, 3]);
  const other = new World({ families: { ipv4: false, ipv6: true } });
  other.container.listeners = ["tcp 0.0.0.0 1", "tcp :: 2", "tcp * 3"];
  expect(other.wanted()["-t"]).toEqual([2, 3]);
});

test("what a rule leads to counts, not where it listens", () => {
  const world = new World();
  world.container.listeners = ["tcp * 8080"];
  world.wanted();
  const mapped = rule("host", "tcp", { first: 80, last: 81, targetFirst: 8080 });
  expect([80, 81].map((port) => world.scan.isListening(mapped, port))).toEqual([true, false]);
});

test("our own listeners want nothing the other way, neither as TCP nor as UDP", () => {
  const world = new World();
  world.host.listeners = ["tcp * 80", "udp * 53"];
  world.container.listeners = ["tcp * 8080"];
  world.own("-t", 80);
  world.own("-u", 53);
  world.own("-T", 8080);
  expect(world.wanted()).toEqual({});
});

test("ports opened one way meanwhile are not wanted the other way", () => {
  const world = new World();
  world.host.listeners = ["tcp * 80"];
  world.container.listeners = ["tcp * 80"];
  expect(world.wanted()).toEqual({ "-t": [80], "-u": [80], "-T": [80], "-U": [80] });
  world.scan.claim(RULES["-u"], [80]);
  expect(world.now()).toEqual({ "-t": [80], "-u": [80], "-T": [80] });
});

test("a change is seen until it was read, and something the kernel could not list is none", () => {
  const world = new World();
  expect([world.scan.hasChanged(), world.scan.read(world.points)]).toEqual([false, false]);
  world.container.listeners = ["udp * 53"];
  expect([world.scan.hasChanged(), world.scan.hasChanged(), world.scan.read(world.points)]).toEqual([
    true,
    true,
    true,
  ]);
  expect(world.scan.hasChanged()).toBe(false);
  world.container.listeners = [];
  world.container.result = -105;
  expect([world.scan.hasChanged(), world.wanted()["-u"]]).toEqual([false, [53]]);
});

test("a kernel that does not list sockets says so at once", () => {
  const none = { dump: () => -2 } as unknown as SockDiag;
  expect(() => new World({ host: none })).toThrow(expect.objectContaining({ code: "USAGE" }));
});
