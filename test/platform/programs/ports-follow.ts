/** Ports of an engine whose host changes. Runs the scenario argv[2] and prints what came of it as JSON. */
import { execFileSync } from "node:child_process";
import * as c from "../../../src/ffi/constants.ts";
import { ipv4Words } from "../../../src/base/address.ts";
import { close } from "../../../src/ffi/libc.ts";
import { occupy, openFiles, play, World } from "../ports-world.ts";

const MAKE = "link add wg0 type veth peer name far";
const HERE = "198.51.100.7";
const ADDRESS = ipv4Words(0xc6336407);

const ip = (...commands: string[]): void =>
  commands.forEach((command) => void execFileSync("ip", command.split(" ")));

/** What is listened on outside, and what `ports` says, once the host's change has been taken in. */
async function after(world: World, ...commands: string[]): Promise<{ host: string[]; shown: string[] }> {
  ip(...commands);
  return taken(world);
}

async function taken(world: World): Promise<{ host: string[]; shown: string[] }> {
  world.ports.hostChanged();
  await world.idle();
  return { host: world.listening().host, shown: world.show() };
}

function indexOf(name: string): number {
  const line = execFileSync("ip", ["-o", "link", "show", "dev", name], { encoding: "utf8" });
  return Number(line.split(":")[0]);
}

void play({
  /** Addresses come, go and come back. */
  async address() {
    const world = await World.build();
    const files = openFiles();
    const failed = await world.start(
      `-t ${HERE}/8000-8001`,
      `-u ${HERE}/8000`,
      "-t [2001:db8::7]/8002",
      "-t 127.0.0.2/8003",
    );
    const notes = world.notes();
    const steps = [
      await taken(world),
      await after(world, `address add ${HERE}/24 dev lo`),
      await after(world, "address add 2001:db8::7/64 dev lo nodad"),
      await after(world, `address delete ${HERE}/24 dev lo`),
      await after(world, `address add ${HERE}/32 dev lo`, "address delete 2001:db8::7/64 dev lo"),
    ];
    // A rule that waits is taken away like any other.
    const deleted = await world.change("set", `-t ${HERE}/8000`);
    const last = await taken(world);
    const open = openFiles() - files;
    world.end();
    return { failed, notes, steps, deleted, last, open, messages: world.messages };
  },

  /** What is listened on has no address of its own: a broadcast, a whole local route. */
  async unlisted() {
    const world = await World.build();
    const failed = await world.start("-u 198.51.100.255/8000", "-t 203.0.113.9/8000");
    const steps = [
      await taken(world),
      await after(world, `address add ${HERE}/24 brd + dev lo`),
      await after(world, "route add local 203.0.113.0/24 dev lo"),
      await after(world, "route delete local 203.0.113.0/24 dev lo"),
    ];
    world.end();
    return { failed, steps };
  },

  /** An interface is made, made anew with nobody looking, renamed, and deleted. */
  async interface() {
    const world = await World.build();
    const failed = await world.start("-t %wg0/8000", `-u ${HERE}%wg0/8000`);
    const make = [MAKE, "link set wg0 up", `address add ${HERE}/24 dev wg0`];
    const steps = [await taken(world), await after(world, make[0]), await after(world, ...make.slice(1))];
    const before = world.fds();
    const same = await after(world, "link set wg0 mtu 1400");
    const isLeftAlone = JSON.stringify(before) === JSON.stringify(world.fds());
    const indexes = world.devices();
    const anew = await after(
      world,
      "link delete wg0",
      "link add other type veth peer name other-far",
      ...make,
    );
    const later = world.devices();
    steps.push(
      same,
      anew,
      await after(world, "link set wg0 name wg1"),
      await after(world, "link delete wg1"),
    );
    world.end();
    return { failed, steps, isLeftAlone, hasMoved: indexes.every((each, i) => each !== later[i]) };
  },

  /** Link-local addresses belong to the template, whichever that is. */
  async scope() {
    let scope = 0;
    const world = await World.build(() => ({ hostScope: () => scope }));
    ip("link add one type veth peer name two");
    for (const name of ["one", "two"]) {
      ip(`link set ${name} up`, `address add fe80::7/64 dev ${name} nodad`);
    }
    const failed = await world.start("-t [fe80::7]/8000");
    const steps = [await taken(world)];
    for (const name of ["one", "two"]) {
      scope = indexOf(name);
      steps.push(await taken(world));
    }
    world.end();
    return { failed, steps };
  },

  /** Families are switched on and off. */
  async families() {
    const enabled = { ipv4: true, ipv6: false };
    const world = await World.build(() => ({ enabled }));
    const failed = await world.start(
      "-t 8000",
      "-u 8000",
      "-t [::1]/8001",
      "-t 8002:[2001:db8::9]/8002",
      "-T 8000",
    );
    const steps: unknown[] = [];
    for (const ipv6 of [false, true, false]) {
      enabled.ipv6 = ipv6;
      steps.push({ ...(await taken(world)), container: world.listening().container });
    }
    world.end();
    return { failed, steps, messages: world.messages };
  },

  /** Another program has the port when its address appears, and then gives it up. */
  async taken() {
    const world = await World.build();
    await world.start(`-t ${HERE}/8000-8001`);
    ip(`address add ${HERE}/24 dev lo`);
    const fd = occupy({ port: 8001, address: ADDRESS, v6: false });
    const during = await taken(world);
    close(fd);
    const freed = await world.settled({ host: [`tcp ${HERE}:8000`, `tcp ${HERE}:8001`], container: [] });
    const shown = world.show();
    world.end();
    return { during, freed, shown, messages: world.messages };
  },

  /** Another program has the port of the family that is switched on, and then gives it up. */
  async takenFamily() {
    const enabled = { ipv4: true, ipv6: false };
    const world = await World.build(() => ({ enabled }));
    await world.start("-t 8005");
    const fd = occupy({ port: 8005, address: new Uint32Array(4) });
    enabled.ipv6 = true;
    const during = await taken(world);
    close(fd);
    await world.settled({ host: ["tcp *:8005"], container: [] });
    const freed = { host: world.listening().host, shown: world.show() };
    world.end();
    return { during, freed };
  },

  /** A socket that somebody else has opened for an address before it is there. */
  async handedIn() {
    const fd = occupy({ port: 80, address: ADDRESS, v6: false, freebind: true });
    const world = await World.build(() => ({ handedIn: [{ fd, name: "web" }] }));
    const failed = await world.start(`-t ${HERE}/80`);
    const steps = [
      await taken(world),
      await after(world, `address add ${HERE}/24 dev lo`),
      await after(world, `address delete ${HERE}/24 dev lo`),
    ];
    // Who else has a port is found out for all others.
    const other = occupy({ port: 81, v6: false });
    const refused = await world.change("set", `-t ${HERE}/80`, `-t ${HERE}/81`);
    close(other);
    world.end();
    return { failed, steps, refused };
  },

  /** A host that does not come to rest. */
  async restless() {
    const enabled = { ipv4: true, ipv6: false };
    const world = await World.build(() => ({ enabled }));
    for (let i = 0; i < 100; i++) {
      enabled.ipv6 = !enabled.ipv6;
      world.ports.hostChanged();
    }
    await world.idle();
    world.end();
    return { lines: world.notices.filter((notice) => notice === "ports follow the host").length };
  },

  /** What cannot be had even when it is there is refused at once. */
  async impossible() {
    const world = await World.build();
    const fd = occupy({ port: 8000, v6: false });
    const files = openFiles();
    const refusals = [
      await world.change("add", `-t ${HERE}/7999-8001`),
      await world.change("add", `-t ${HERE}/8001`, "-t 8000"),
      await world.change("add", `-t ${HERE}/8001`, `-t ${HERE}/8001`),
    ];
    const left = openFiles() - files;
    const shown = world.show();
    close(fd);
    world.end();
    return { refusals, left, shown };
  },

  /** Flows go on at a UDP socket whose address has gone, and have it when it is back. */
  async linger() {
    ip(`address add ${HERE}/24 dev lo`);
    const world = await World.build();
    await world.start(`-u ${HERE}/8000`);
    const slot = world.slotOf(8000);
    world.listeners.use(slot);
    const gone = await after(world, `address delete ${HERE}/24 dev lo`);
    const isClosedToNew = world.listeners.rule(slot) === undefined;
    const back = await after(world, `address add ${HERE}/24 dev lo`);
    const isSame = world.slotOf(8000) === slot && world.listeners.rule(slot) !== undefined;
    world.listeners.release(slot);
    const last = await taken(world);
    world.end();
    return { gone, isClosedToNew, back, isSame, last };
  },

  /** An automatic rule for an address. */
  async auto() {
    const world = await World.build();
    await world.inside.socket(false, c.IPPROTO_TCP).then(close);
    await world.occupyInside({ port: 4001 });
    const failed = await world.start(`-t ${HERE}/auto`, "-T auto");
    const steps = [
      await taken(world),
      await after(world, `address add ${HERE}/24 dev lo`),
      await after(world, `address delete ${HERE}/24 dev lo`),
    ];
    world.end();
    return { failed, steps };
  },

  /** What many rules that wait cost when the host changes, and when it does not. */
  async many() {
    const world = await World.build();
    const distinct = Array.from({ length: 1000 }, (_, i) => `-t [2001:db8::${(i + 1).toString(16)}]/8000`);
    const same = Array.from({ length: 1000 }, (_, i) => `-t ${HERE}/${2000 + i}`);
    const milliseconds: Record<string, number> = {};
    for (const [name, specs] of Object.entries({ none: ["-t 8000"], same, distinct })) {
      const failed = await world.change("set", ...specs);
      if (failed !== "") return failed;
      const start = process.cpuUsage();
      for (let i = 0; i < 100; i++) world.ports.hostChanged();
      milliseconds[name] = process.cpuUsage(start).user / 100_000 + process.cpuUsage(start).system / 100_000;
    }
    const waiting = world.ports.show().filter(({ state }) => state === "waiting").length;
    world.end();
    return { milliseconds, waiting, notes: world.notes().length };
  },

  /** Whatever the host and the rules have gone through, in the end it is what a fresh start would give. */
  async random() {
    const enabled = { ipv4: true, ipv6: true };
    const world = await World.build(() => ({ enabled }));
    let seed = 5;
    const below = (count: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 16) % count;
    };
    const rules: Record<string, () => string> = {
      "-t 8000": () => (enabled.ipv6 ? "tcp *:8000" : "tcp 0.0.0.0:8000"),
      "-u 198.51.100.7/8000": () => (has.address ? "udp 198.51.100.7:8000" : ""),
      "-t 198.51.100.7/8001": () => (has.address ? "tcp 198.51.100.7:8001" : ""),
      "-t [2001:db8::7]/8001": () => (has.address6 && enabled.ipv6 ? "tcp [2001:db8::7]:8001" : ""),
      "-t %wg0/8002": () => (has.link ? `tcp ${enabled.ipv6 ? "*" : "0.0.0.0"}%wg0:8002` : ""),
      "-u [::]%wg0/8002": () => (has.link && enabled.ipv6 ? "udp [::]%wg0:8002" : ""),
    };
    const has = { address: false, address6: false, link: false };
    const toggle = {
      address: [`address add ${HERE}/24 dev lo`, `address delete ${HERE}/24 dev lo`],
      address6: ["address add 2001:db8::7/64 dev lo nodad", "address delete 2001:db8::7/64 dev lo"],
      link: [MAKE, "link delete wg0"],
    };
    let asked: string[] = [];
    for (let i = 0; i < 60; i++) {
      for (let events = below(4); events >= 0; events--) {
        const name = (["address", "address6", "link"] as const)[below(3)];
        ip(toggle[name][has[name] ? 1 : 0]);
        has[name] = !has[name];
        if (below(5) === 0) enabled.ipv6 = !enabled.ipv6;
        if (below(3) === 0) world.ports.hostChanged();
        if (below(6) > 0) continue;
        asked = Object.keys(rules).filter(() => below(2) === 0);
        const failed = await world.change("set", ...asked);
        if (failed !== "") return { i, asked, failed };
      }
      const { host } = await taken(world);
      const expected = asked.map((rule) => rules[rule]()).filter((each) => each !== "");
      if (host.join() !== expected.toSorted().join()) return { i, asked, has, enabled, host, expected };
    }
    await world.change("set");
    const { host } = await taken(world);
    world.end();
    return { host };
  },
});
