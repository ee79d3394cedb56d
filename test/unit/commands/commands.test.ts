import { expect, test } from "@jest/globals";
import { findEngine } from "../../../src/commands/find-engine.ts";
import { namespaceIdAt } from "../../../src/kernel/namespace.ts";
import {
  attachRequest,
  ATTACH_OPTIONS,
  PORTS_OPTIONS,
  portsRequest,
  runRequest,
  RUN_OPTIONS,
} from "../../../src/commands/options.ts";
import { table } from "../../../src/commands/output.ts";
import { outline } from "../../../src/commands/status.ts";
import { COMMANDS } from "../../../src/commands/table.ts";
import { parseArguments } from "../../../src/config/command-line.ts";
import type { EngineTarget, FoundEngine } from "../../../src/runtime/state-directory.ts";

const attach = (...args: string[]) => attachRequest(parseArguments(args, ATTACH_OPTIONS));
const run = (...args: string[]) => runRequest(parseArguments(args, RUN_OPTIONS, "argument"));

const ports = (...args: string[]) => portsRequest(parseArguments(args, PORTS_OPTIONS));

function engine(id: string, target: EngineTarget): FoundEngine {
  const state = {
    version: "1",
    id,
    pid: 1,
    startTime: "1",
    phase: "running" as const,
    target,
    createdAt: "",
  };
  return { directory: `/run/${id}`, state };
}

test("attach takes a process or a namespace", () => {
  expect(attach("4711")).toMatchObject({ target: { pid: 4711 }, foreground: false });
  expect(attach("--netns", "blue", "--foreground")).toMatchObject({
    target: { netns: "blue" },
    foreground: true,
  });
  for (const args of [[], ["1", "2"], ["--netns", "blue", "1"]]) {
    expect(() => attach(...args)).toThrow("attach needs one process id, or --netns instead");
  }
  for (const text of ["blue", "0", "-1x", "1e3", "99999999999"]) {
    expect(() => attach("--", text)).toThrow(`${text} is no process id`);
  }
});

test("run takes a command, else the person's shell", () => {
  expect(run("-4", "curl", "-s").command).toEqual(["curl", "-s"]);
  const shell = process.env["SHELL"];
  try {
    process.env["SHELL"] = "/bin/bash";
    expect(run().command).toEqual(["/bin/bash"]);
    // A plain POSIX shell, also the one for people without any, has no use for job control there.
    process.env["SHELL"] = "";
    expect(run().command).toEqual(["/bin/sh", "+m"]);
  } finally {
    if (shell === undefined) delete process.env["SHELL"];
    else process.env["SHELL"] = shell;
  }
});

test("ports shows, or changes what it is told to", () => {
  expect(ports()).toEqual({ json: false });
  expect(ports("web", "--json")).toEqual({ engine: "web", json: true });
  const { change } = ports("add", "web", "-t", "80", "-U", "53");
  expect(change).toMatchObject({
    action: "add",
    rules: [
      { side: "host", protocol: "tcp", first: 80 },
      { side: "container", protocol: "udp", first: 53 },
    ],
  });
  expect(ports("set", "web").change).toEqual({ action: "set", rules: [] });
  expect(ports("del", "add", "-t", "80").engine).toBe("add");
  expect(() => ports("add")).toThrow("ports add needs an identifier");
  expect(() => ports("add", "web", "-t", "none")).toThrow("ports add needs ports");
  expect(() => ports("web", "-t", "80")).toThrow("ports only shows what there is");
  expect(() => ports("web", "add")).toThrow(/^ports takes one identifier, .* not web add/);
  expect(() => ports("set", "web", "-t", "x")).toThrow("cannot read -t: a port should stand here");
});

test("names are checked and log files made absolute", () => {
  expect(run("--name", "web-1", "--log-file", "x.log")).toMatchObject({
    name: "web-1",
    process: { logFile: `${process.cwd()}/x.log` },
  });
  for (const bad of ["", "..", "a/b", "-a", "x".repeat(65)]) {
    expect(() => run(`--name=${bad}`)).toThrow("a name has 1 to 64 letters");
  }
});

test("an engine is found by identifier, then by process, then by namespace", () => {
  const engines = [
    engine("one", { kind: "pid", pid: 20 }),
    engine("20", { kind: "netns", path: "/run/netns/blue" }),
    engine("three", { kind: "run", pid: 30 }),
    engine("four", { kind: "netns", path: "/nowhere", netns: namespaceIdAt("/proc/self/ns/net") }),
  ];
  expect(findEngine("20", engines).state.id).toBe("20");
  expect(findEngine("30", engines).state.id).toBe("three");
  expect(findEngine("blue", engines).state.id).toBe("20");
  expect(findEngine("/run/netns/blue", engines).state.id).toBe("20");
  // By any process in there, and by any path that leads there.
  expect(findEngine(String(process.pid), engines).state.id).toBe("four");
  expect(findEngine("/proc/self/ns/net", engines).state.id).toBe("four");
  expect(() => findEngine("red", engines)).toThrow("cannot find an engine for red");
});

test("status is an outline of what the engine answers", () => {
  expect(
    outline({ id: "one", pid: 1, counters: { dropArp: 2, none: {} }, list: ["a", 1], nothing: null }),
  ).toEqual(["id: one", "pid: 1", "counters:", "  dropArp: 2", "  none:", "list: a, 1", "nothing: null"]);
});

test("tables are aligned", () => {
  expect(
    table([
      ["A", "LONG"],
      ["abc", "d"],
    ]),
  ).toBe("A    LONG\nabc  d");
});

test("every command has a name of its own, and every option a help text", () => {
  const names = COMMANDS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { options } of COMMANDS) {
    expect(new Set(options.map(({ name }) => name)).size).toBe(options.length);
    for (const { help } of options) expect(help).not.toBe("");
  }
});
