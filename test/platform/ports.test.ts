/** The ports of an engine over real sockets: opened, changed, taken back, closed, and following other programs. */
import { expect, test } from "@jest/globals";
import { playPorts as play } from "./children.ts";

test("a rule listens on the addresses, the interface and the side that it names", async () => {
  expect(await play("ports", "start")).toEqual({
    failed: "",
    opened: 12,
    listening: {
      host: [
        "tcp *%lo:82",
        "tcp *:8000",
        "tcp *:8001",
        "tcp *:8002",
        "tcp 0.0.0.0:84",
        "tcp 127.0.0.1:81",
        "tcp [::1]:83",
        "tcp [fe80::1]%lo:85",
        "udp *:8000",
      ],
      container: ["tcp *%lo:8100", "tcp *%lo:8101", "udp *%lo:53"],
    },
    shown: [
      "8000 listening 3",
      "81 listening 1",
      "82 listening 1",
      "83 listening 1",
      "84 listening 1",
      "85 listening 1",
      "8000 listening 1",
      "8100 listening 2",
      "53 listening 1",
    ],
  });
});

test("a port that cannot be had is named, and nothing stays open", async () => {
  const { refusals, left, host } = await play("ports", "refused");
  expect(refusals).toEqual([
    'PORT_IN_USE: cannot listen on TCP port 8001 of the host: another program listens there {"side":"host","protocol":"tcp","port":8001,"errno":"EADDRINUSE"}',
    'PORT_IN_USE: cannot listen on UDP port 8001 of the host: another program listens there {"side":"host","protocol":"udp","port":8001,"errno":"EADDRINUSE"}',
    expect.stringMatching(/^USAGE: .*port 80 of the host at 192\.0\.2\.1: there is no such address/),
    expect.stringMatching(/^USAGE: .*port 80 of the host on none: there is no such interface/),
    expect.stringMatching(/^USAGE: .*overlaps/),
  ]);
  expect(left).toBe(0);
  expect(host).toEqual(["tcp *:8001", "udp 127.0.0.1:8001"]);
});

test("a weak rule does without some ports, and says so once, but not without all", async () => {
  const { partly, shown, refused, shownAfter, messages } = await play("ports", "weak");
  expect(partly).toBe("");
  expect(shown).toEqual(["8000 partial 2 PORT_IN_USE 8001"]);
  expect(refused).toMatch(/^PORT_IN_USE: .*8001/);
  expect(shownAfter).toEqual(shown);
  expect(messages).toEqual(["TCP of the host: not forwarded: 8001 (another program listens there)"]);
});

test("a change leaves alone what stays, and everything when it fails", async () => {
  expect(await play("ports-change", "change")).toEqual({
    before: ["8000", "8001"],
    steps: ["", "", "", ""],
    middle: { host: ["tcp *:8000", "tcp *:8002", "udp *:8000"], container: ["tcp *%lo:8000"] },
    after: {
      host: ["tcp *:8001", "tcp *:8002", "tcp *:8003", "udp *:8000"],
      container: ["tcp *%lo:8001"],
    },
    same: [false, true],
    refusals: [
      expect.stringMatching(/^PORT_IN_USE: .*8102/),
      expect.stringMatching(/^PORT_IN_USE: .*8102/),
      expect.stringMatching(/^USAGE: .*overlaps/),
      expect.stringMatching(/^USAGE: there is no rule -t 8001/),
      expect.stringMatching(/^USAGE: .*this rule is there already/),
    ],
    isUntouched: true,
    gone: { host: [], container: [] },
    left: {},
  });
});

const step = (address: string, drained: number): object => ({
  failed: "",
  host: [`tcp ${address}:8000`, `udp ${address}:8000`],
  drained,
});

test("from every address to one, and back: no moment without, nobody lost, no port shared", async () => {
  const { steps, others } = await play("ports-change", "overlap");
  expect(steps).toEqual([
    step("127.0.0.1", 1),
    step("[::1]", 2),
    step("*%lo", 2),
    step("*", 3),
    step("0.0.0.0", 4),
  ]);
  expect(others).toEqual([-98, -98]);
});

test("whatever is changed how often, what listens is what the rules say", async () => {
  expect(await play("ports-change", "random")).toEqual({
    outcomes: { done: expect.any(Number), overlapping: expect.any(Number), held: expect.any(Number) },
    left: { host: [], container: [] },
  });
}, 20_000);

test("a client that was answered may finish its handshake, but does not hold up others for ever", async () => {
  const { quick, slow } = await play("ports-change", "handshake");
  expect(quick).toBeLessThan(200);
  expect(slow).toBeGreaterThanOrEqual(1000);
  expect(slow).toBeLessThan(1500);
});

test("a UDP socket with flows outlives its rule, is in nobody's way, and is taken back", async () => {
  expect(await play("ports-change", "linger")).toEqual({
    steps: ["", "", "", "", ""],
    lingering: ["udp *:8000"],
    both: ["udp *:8000", "udp 127.0.0.1:8000"],
    isTaken: true,
    again: ["udp *:8000"],
    gone: [],
    last: ["udp *:8000"],
  });
});

test("more ports than descriptors are refused before any is opened", async () => {
  const { refused, left, taken, few } = await play("ports", "limit");
  expect(refused).toBe(
    "PORT_LIMIT: these ports need N open files, and N are left: forward fewer, or raise the limit to N or more " +
      '(ulimit -n, LimitNOFILE=) {"needed":N,"free":N}',
  );
  expect([left, taken]).toEqual([0, ""]);
  expect(few).toMatch(/^PORT_LIMIT: .*port 800/);
});

test("sockets that were handed in serve their ports, and are never closed", async () => {
  const { narrow, messages, ...result } = await play("ports", "handedIn");
  expect(result).toEqual({
    failed: "",
    slots: [true, true, true],
    first: 1,
    steps: ["", ""],
    drained: 1,
    without: 0,
    stillThere: ["tcp *:80", "tcp *:82", "tcp *:83", "tcp 127.0.0.1:81", "udp *:53"],
    again: 1,
  });
  expect(narrow).toMatch(/^PORT_IN_USE: /);
  expect(messages).toEqual([
    "no rule wants sockets that were handed in: spare (TCP port 82 of the host), unnamed (no bound socket of TCP or UDP)",
  ]);
});

test("a kernel that binds to no interface without privilege listens on the loopback addresses", async () => {
  const { failed, container, messages } = await play("ports", "noDevice");
  expect(failed).toBe("");
  expect(container).toEqual([
    "tcp 127.0.0.1%lo:8000",
    "tcp [::1]%lo:8000",
    "udp 127.0.0.1%lo:8000",
    "udp [::1]%lo:8000",
  ]);
  expect(messages).toEqual([expect.stringContaining("127.0.0.1 and ::1")]);
});

test("automatic ports follow programs within a second, one way at a time, and complain once", async () => {
  const { first, ...result } = await play("ports-change", "auto");
  expect(first.container).toContain("tcp *%lo:5001");
  expect(result).toEqual({
    failed: "",
    steps: ["soon", "soon", "soon", "soon", "soon"],
    shown: [
      "1 partial 2 PORT_IN_USE 4005",
      "61000 waiting 0",
      "1 listening 4",
      "61000 waiting 0",
      "1 partial 1 PORT_IN_USE 4005",
      "61000 waiting 0",
      "1 listening 1",
      "61000 waiting 0",
    ],
    warnings: [
      "TCP of the host: not forwarded: 4005 (another program listens there)",
      "TCP of the container's loopback: not forwarded: 4005 (another program listens there)",
    ],
    messages: [],
    set: "",
    asked: ["6001 listening 1", "7001 listening 1"],
    last: { host: ["tcp *:6002"], container: ["tcp *:4002"] },
  });
}, 20_000);

test("thousands of ports are opened, changed and closed in no time", async () => {
  const { milliseconds, shown, left } = await play("ports", "many");
  expect(shown).toEqual(["2000 listening 9000"]);
  expect(left).toEqual([]);
  for (const each of ["start", "add", "keep", "drop"]) expect(milliseconds[each]).toBeLessThan(1500);
}, 20_000);
