/** Ports of an engine: what opens, and what does not. Runs the scenario argv[2] and prints what came of it as JSON. */
import { execFileSync } from "node:child_process";
import * as c from "../../../src/ffi/constants.ts";
import { check } from "../../../src/ffi/errno.ts";
import { close } from "../../../src/ffi/libc.ts";
import type { Inside } from "../../../src/engine/inside.ts";
import { bindToDevice } from "../../../src/kernel/socket.ts";
import { client, LOOPBACK, occupy, openFiles, play, timed, World } from "../ports-world.ts";

void play({
  /** Addresses, interfaces, ranges, both sides. */
  async start() {
    execFileSync("ip", "address add fe80::1/64 dev lo nodad".split(" "));
    const world = await World.build(() => ({ hostScope: () => 1 }));
    const before = openFiles();
    const failed = await world.start(
      "-t 8000-8002",
      "-t 127.0.0.1/81",
      "-t %lo/82",
      "-t [::1]/83",
      "-t 0.0.0.0/84",
      "-t [fe80::1]/85",
      "-u 8000",
      "-T 8100-8101",
      "-U 53",
    );
    const opened = openFiles() - before;
    const listening = world.listening();
    const shown = world.show();
    world.end();
    return { failed, opened, listening, shown };
  },

  /** Ports that cannot be had. */
  async refused() {
    const world = await World.build(() => ({ follow: false }));
    const fds = [
      occupy({ port: 8001 }),
      occupy({ port: 8001, protocol: c.IPPROTO_UDP, address: LOOPBACK, v6: false }),
    ];
    const before = openFiles();
    const refusals = [];
    for (const spec of ["-t 8000-8002", "-u 8000-8002", "-t 192.0.2.1/80", "-t %none/80", "-t 80-90,80"]) {
      refusals.push(await world.start(spec));
    }
    const after = openFiles();
    const { host } = world.listening();
    fds.forEach(close);
    world.end();
    return { refusals, left: after - before, host };
  },

  /** Ports that would be nice to have. */
  async weak() {
    const world = await World.build();
    const fd = occupy({ port: 8001 });
    const specs = ["-t all,~1-7999,~8003-65535"];
    const partly = await world.start(...specs);
    const shown = world.show();
    const refused = await world.change("set", "-t all,~1-8000,~8002-65535");
    close(fd);
    world.end();
    return { partly, shown, refused, shownAfter: world.show(), messages: world.messages };
  },

  /** More ports than descriptors. */
  async limit() {
    const world = await World.build(() => ({ fdLimit: 400 }));
    const free = 300 - openFiles();
    const before = openFiles();
    const refused = await world.start(`-t 1001-${1000 + free + 1}`);
    const left = openFiles() - before;
    const taken = await world.start(`-t 1001-${1000 + free}`);
    const few = await world.change("add", "-t 8000-8003");
    world.end();
    return { refused: refused.replaceAll(/\d+/g, "N"), left, taken, few };
  },

  /** Sockets that somebody else has opened. */
  async handedIn() {
    const sockets = [
      { fd: occupy({ port: 80 }), name: "web" },
      { fd: occupy({ port: 81, address: LOOPBACK, v6: false }), name: "local" },
      { fd: occupy({ port: 53, protocol: c.IPPROTO_UDP }), name: "dns" },
      { fd: occupy({ port: 82 }), name: "spare" },
      { fd: occupy({ port: 83 }), name: "later" },
      { fd: 0, name: "" },
    ];
    const world = await World.build(() => ({ handedIn: sockets }));
    // Nobody listens inside yet, where the automatic rule leads.
    const failed = await world.start("-t 80-81", "-u 53", "-t 83,auto");
    const slots = [80, 81, 53].map((port) => world.listeners.fd(world.slotOf(port)) >= 0);
    const used = world.slotOf(53);
    world.listeners.use(used);
    const narrow = await world.change("add", "-t 127.0.0.1/82");
    const events = (): number => world.epoll.wait(0);
    client(80);
    const first = events();
    const steps = [await world.change("set")];
    const drained = world.drained.length;
    client(80);
    const without = events();
    const stillThere = world.listening().host;
    steps.push(await world.change("set", "-t 80", "-u 53"));
    const again = events();
    world.listeners.release(used);
    world.end();
    return {
      failed,
      slots,
      narrow,
      first,
      steps,
      drained,
      without,
      stillThere,
      again,
      messages: world.messages,
    };
  },

  /** Where sockets cannot be bound to an interface, the container's loopback addresses have to do. */
  async noDevice() {
    const world = await World.build((inside) => ({
      inside: {
        async socket(v6: boolean, protocol: number) {
          const fd = await inside.socket(v6, protocol);
          // Without CAP_NET_RAW this can be done once only.
          check(bindToDevice(fd, "lo"), "bind");
          return fd;
        },
      } as Inside,
    }));
    const failed = await world.start("-T 8000", "-U 8000");
    const { container } = world.listening();
    world.end();
    return { failed, container, messages: world.messages };
  },

  /** As many as this machine allows. */
  async many() {
    const world = await World.build();
    const start = await timed(world.start("-t 2000-10999"));
    const shown = world.show();
    const add = await timed(world.change("add", "-T 2000-7999"));
    const keep = await timed(world.change("set", "-t 2000-10998", "-T 2000-7999"));
    const drop = await timed(world.change("set"));
    world.end();
    return { milliseconds: { start, add, keep, drop }, shown, left: world.show() };
  },
});
