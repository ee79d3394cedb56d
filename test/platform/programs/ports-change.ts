/** Ports of an engine that change. Runs the scenario argv[2] and prints what came of it as JSON. */
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import * as c from "../../../src/ffi/constants.ts";
import type { ListenerSlot } from "../../../src/forward/listeners.ts";
import { close } from "../../../src/ffi/libc.ts";
import {
  client,
  connectHalf,
  EXTERNAL,
  LOOPBACK,
  occupy,
  openFiles,
  openRaw,
  play,
  timed,
  tryToListen,
  World,
} from "../ports-world.ts";

type Pick = <Item>(items: readonly Item[]) => Item;

function randomRule(pick: Pick): string {
  const option = pick(["-t", "-t", "-u", "-u", "-T", "-U"]);
  const address = option === "-t" || option === "-u" ? pick(Object.keys(SHOWN)) : "";
  return `${option} ${address}${pick([8000, 8001, 8002, 8003, 8003, 8004])}`;
}

/** How `ss` shows addresses to listen on. */
const SHOWN: Readonly<Record<string, string>> = {
  "": "*",
  "127.0.0.1/": "127.0.0.1",
  "127.0.0.2/": "127.0.0.2",
  "0.0.0.0/": "0.0.0.0",
  "[::]/": "[::]",
  "[::1]/": "[::1]",
  "%lo/": "*%lo",
};

/** What a rule for one port opens, as `ss` shows it. */
function socketOf(rule: string): string {
  const [option, text] = rule.split(" ");
  const port = text.slice(-4);
  const protocol = option.toLowerCase() === "-t" ? "tcp" : "udp";
  if (option === "-T" || option === "-U") return `in ${protocol} *%lo:${port}`;
  return `${protocol} ${SHOWN[text.slice(0, -4)]}:${port}`;
}

/** What is sent there arrives nowhere. */
const LINK = `ip link add far type veth peer name near; ip address add 198.51.100.2/24 dev near
  ip neighbour add 198.51.100.7 lladdr 02:00:00:00:00:07 dev near nud permanent; ip link set far up; ip link set near up`;

void play({
  /** What a change leaves alone, and what it takes back. */
  async change() {
    const world = await World.build();
    await world.start("-t 8000-8001", "-u 8000", "-T 8000");
    const before = world.fds();
    const steps = [await world.change("add", "-t 8002")];
    steps.push(await world.change("del", "-t 8000-8001"));
    steps.push(await world.change("add", "-t 8000"));
    const middle = world.listening();
    const kept = world.fds();
    // Port 8002 becomes part of a range, and keeps its socket.
    steps.push(await world.change("set", "-t 8001-8003", "-u 8000", "-T 8001:8000"));
    const after = world.listening();
    const same = [8000, 8002].map((port) => kept[port] === world.fds()[port]);
    const fd = occupy({ port: 8102 });
    const files = openFiles();
    const untouched = world.fds();
    const refusals = [
      await world.change("add", "-t 8100-8103"),
      await world.change("set", "-t 8100-8103"),
      await world.change("add", "-t 8003-8004"),
      await world.change("del", "-t 8001"),
      await world.change("add", "-t 8100", "-T 8100-8101", "-u 8000"),
    ];
    const isUntouched = JSON.stringify(untouched) === JSON.stringify(world.fds()) && files === openFiles();
    close(fd);
    await world.change("set");
    const gone = world.listening();
    const left = world.fds();
    world.end();
    return { before: Object.keys(before), steps, middle, after, same, refusals, isUntouched, gone, left };
  },

  /** From all addresses to one and back, while connections wait to be accepted. */
  async overlap() {
    const world = await World.build();
    await world.start("-t 8000", "-u 8000");
    const clients = [client(8000)];
    const steps = [];
    for (const address of ["127.0.0.1/", "[::1]/", "%lo/", "", "0.0.0.0/"]) {
      const failed = await world.change("set", `-t ${address}8000`, `-u ${address}8000`);
      const { host } = world.listening();
      if (address !== "[::1]/") clients.push(client(8000));
      steps.push({ failed, host, drained: world.drained.length });
    }
    // Nobody else may share a port, neither then nor now.
    const options = { protocol: c.IPPROTO_UDP, address: LOOPBACK, v6: false, port: 8000 };
    const others = [tryToListen(options), tryToListen({ ...options, share: true })];
    world.end();
    return { steps, others };
  },

  /** Many changes of all kinds, some with a port that somebody holds; compares with what should be. */
  async random() {
    const world = await World.build();
    let seed = 1;
    const pick = <Item>(items: readonly Item[]): Item => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return items[(seed >>> 16) % items.length];
    };
    const held = occupy({ port: 8004, address: LOOPBACK, v6: false });
    const outcomes = { done: 0, overlapping: 0, held: 0 };
    let rules: string[] = [];
    const used: ListenerSlot[] = [];
    for (let i = 0; i < 150; i++) {
      const change = Array.from({ length: 1 + (i % 4) }, () => randomRule(pick));
      const action = rules.length > 0 ? pick(["add", "del", "set"] as const) : "add";
      const words = action === "del" ? [pick(rules)] : change;
      const failed = await world.change(action, ...words);
      if (failed === "") {
        outcomes.done++;
        if (action === "set") rules = [];
        rules = action === "del" ? rules.filter((each) => each !== words[0]) : [...rules, ...words];
      } else if (/^USAGE.*(overlaps|is there already)/.test(failed)) outcomes.overlapping++;
      else if (/^PORT_IN_USE.*8004/.test(failed)) outcomes.held++;
      else return { i, action, words, rules, failed };
      // Flows come and go at UDP sockets.
      for (let slot = 0; slot < 20; slot++) {
        const { listeners } = world;
        const takesClients = listeners.protocol(slot) === c.IPPROTO_UDP && listeners.rule(slot) !== undefined;
        if (!takesClients || pick([true, false])) continue;
        listeners.use(slot);
        used.push(slot);
      }
      while (used.length > pick([0, 3, 6])) world.listeners.release(used.pop()!);
      const lingering = used.filter((slot) => world.listeners.rule(slot) === undefined).length;
      const { host, container } = world.listening();
      const expected = rules.map(socketOf).toSorted();
      const found = [
        ...host.filter((each) => each !== "tcp 127.0.0.1:8004"),
        ...container.map((each) => `in ${each}`),
      ];
      const missing = expected.filter((each) => !found.includes(each));
      if (missing.length > 0 || (lingering === 0 && found.length !== expected.length)) {
        return { i, action, words, rules, missing, found };
      }
    }
    for (const slot of used) world.listeners.release(slot);
    await world.change("set");
    close(held);
    const left = world.listening();
    world.end();
    return { outcomes, left };
  },

  /** A client whose kernel was answered and has not confirmed that yet. */
  async handshake() {
    const raw = openRaw();
    const world = await World.build();
    await world.start("-t 8000", "-t 8001");
    execFileSync("sh", ["-c", LINK]);
    connectHalf(raw, 8000);
    const quick = await timed(world.change("del", "-t 8001"));
    const slow = await timed(world.change("del", "-t 8000"));
    world.end();
    return { quick, slow };
  },

  /** A UDP socket that flows use outlives its rule. */
  async linger() {
    const world = await World.build();
    await world.start("-u 8000");
    const slot = world.slotOf(8000);
    const fd = world.listeners.fd(slot);
    world.listeners.use(slot);
    const steps = [await world.change("set")];
    const lingering = world.listening().host;
    steps.push(await world.change("add", "-u 127.0.0.1/8000"));
    const both = world.listening().host;
    steps.push(await world.change("set", "-u 8000"));
    const isTaken = world.listeners.fd(world.slotOf(8000)) === fd && world.listeners.rule(slot) !== undefined;
    const again = world.listening().host;
    await world.change("set");
    world.listeners.release(slot);
    const gone = world.listening().host;
    // The slot serves another port now.
    steps.push(await world.change("set", "-u 8001"), await world.change("set", "-u 8000"));
    const last = world.listening().host;
    world.end();
    return { steps, lingering, both, isTaken, again, gone, last };
  },

  /** Ports follow the programs that listen. */
  async auto() {
    const { IPPROTO_TCP: TCP, IPPROTO_UDP: UDP } = c;
    const world = await World.build();
    await world.inside.socket(false, TCP).then(close);
    const inside = [
      await world.occupyInside({ port: 4001 }),
      await world.occupyInside({ port: 4002, protocol: UDP, address: LOOPBACK, v6: false }),
      await world.occupyInside({ port: 4003, protocol: UDP, v6: false }),
    ];
    const outside = [
      occupy({ port: 5001, address: LOOPBACK, v6: false }),
      occupy({ port: 5002, address: EXTERNAL, v6: false, freebind: true }),
    ];
    const auto = ["-t auto", "-u auto", "-T auto", "-U auto"];
    const failed = await world.start(...auto);
    const first = world.listening();
    const own = {
      host: ["tcp *:4001", "tcp 127.0.0.1:5001", "tcp 198.51.100.2:5002", "udp *:4001", "udp *:4003"],
      container: ["tcp *%lo:5001", "tcp *:4001", "udp *%lo:5001", "udp 0.0.0.0:4003", "udp 127.0.0.1:4002"],
    };
    const steps = [await world.settled(own)];
    // It comes and goes, and so does one that cannot be had.
    const taken = occupy({ port: 4005, address: LOOPBACK, v6: false });
    inside.push(await world.occupyInside({ port: 4004 }), await world.occupyInside({ port: 4005 }));
    steps.push(
      await world.settled({
        host: [
          "tcp *:4001",
          "tcp *:4004",
          "tcp 127.0.0.1:4005",
          "tcp 127.0.0.1:5001",
          "tcp 198.51.100.2:5002",
          "udp *:4001",
          "udp *:4003",
          "udp *:4004",
          "udp *:4005",
        ],
        container: [
          "tcp *%lo:5001",
          "tcp *:4001",
          "tcp *:4004",
          "tcp *:4005",
          "udp *%lo:5001",
          "udp 0.0.0.0:4003",
          "udp 127.0.0.1:4002",
        ],
      }),
    );
    await sleep(1600);
    const shown = world.show();
    const warnings = world.messages.splice(0);
    close(taken);
    close(inside.splice(3, 1)[0]);
    steps.push(
      await world.settled({
        host: [
          "tcp *:4001",
          "tcp *:4005",
          "tcp 127.0.0.1:5001",
          "tcp 198.51.100.2:5002",
          "udp *:4001",
          "udp *:4003",
          "udp *:4005",
        ],
        container: [
          "tcp *%lo:5001",
          "tcp *:4001",
          "tcp *:4005",
          "udp *%lo:5001",
          "udp 0.0.0.0:4003",
          "udp 127.0.0.1:4002",
        ],
      }),
    );
    [...inside, ...outside].forEach(close);
    steps.push(await world.settled({ host: [], container: [] }));
    const messages = [...world.messages];
    // Where to: what counts is the port that clients are led to.
    const set = await world.change("set", "-t 6001-6003:4001-4003,auto", "-t 127.0.0.1/7001");
    await world.occupyInside({ port: 4002 });
    steps.push(
      await world.settled({ host: ["tcp *:6002", "tcp 127.0.0.1:7001"], container: ["tcp *:4002"] }),
    );
    const asked = world.show();
    // No longer automatic: it stays as it is.
    await world.change("set", "-t 6002:4002");
    await sleep(1000);
    const last = world.listening();
    world.end();
    return { failed, first, steps, shown, warnings, messages, set, asked, last };
  },
});
