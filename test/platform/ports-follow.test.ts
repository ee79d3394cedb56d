/** Rules that wait for what the host does not have, over real sockets and a host that changes. */
import { expect, test } from "@jest/globals";
import { playPorts } from "./children.ts";

const play = (scenario: string): ReturnType<typeof playPorts> => playPorts("ports-follow", scenario);

const LISTENING = ["tcp 198.51.100.7:8000", "tcp 198.51.100.7:8001", "udp 198.51.100.7:8000"];

test("an address that is not there is waited for, whenever it comes and goes", async () => {
  const { failed, notes, steps, deleted, last, open, messages } = await play("address");
  expect(failed).toBe("");
  expect(notes).toEqual([
    "waiting for 198.51.100.7: until it is there, -t 198.51.100.7/8000-8001 and 1 more cannot be reached",
    "waiting for 2001:db8::7: until it is there, -t [2001:db8::7]/8002 cannot be reached",
  ]);
  const own = "tcp 127.0.0.2:8003";
  const six = "tcp [2001:db8::7]:8002";
  const [waits, listens] = [
    ["8000 waiting 0", "8000 waiting 0"],
    ["8000 listening 2", "8000 listening 1"],
  ];
  const [waits6, listens6, listensOwn] = ["8002 waiting 0", "8002 listening 1", "8003 listening 1"];
  expect(steps).toEqual([
    { host: [own], shown: [...waits, waits6, listensOwn] },
    { host: [own, ...LISTENING], shown: [...listens, waits6, listensOwn] },
    { host: [own, ...LISTENING, six].toSorted(), shown: [...listens, listens6, listensOwn] },
    { host: [own, six], shown: [...waits, listens6, listensOwn] },
    { host: [own, ...LISTENING], shown: [...listens, waits6, listensOwn] },
  ]);
  expect({ deleted, last }).toEqual({
    deleted: "",
    last: { host: ["tcp 198.51.100.7:8000"], shown: ["8000 listening 1"] },
  });
  // The listener, and what looks for clients that are connecting when one is closed.
  expect(open).toBe(2);
  expect(messages).toEqual([]);
});

test("so are addresses that no table shows", async () => {
  const { failed, steps } = await play("unlisted");
  expect(failed).toBe("");
  const [broadcast, route] = ["udp 198.51.100.255:8000", "tcp 203.0.113.9:8000"];
  expect(steps.map(({ host }: { host: string[] }) => host)).toEqual([
    [],
    [broadcast],
    [route, broadcast],
    [broadcast],
  ]);
});

test("an interface that is not there is waited for; one with the same name is another one", async () => {
  const { failed, steps, isLeftAlone, hasMoved } = await play("interface");
  expect(failed).toBe("");
  const [any, one] = ["tcp *%wg0:8000", "udp 198.51.100.7%wg0:8000"];
  expect(steps.map(({ host }: { host: string[] }) => host)).toEqual([
    [],
    [any],
    [any, one],
    [any, one],
    [any, one],
    [],
    [],
  ]);
  expect({ isLeftAlone, hasMoved }).toEqual({ isLeftAlone: true, hasMoved: true });
});

test("a link-local address is that of the template", async () => {
  const { failed, steps } = await play("scope");
  expect(failed).toBe("");
  expect(steps).toEqual([
    { host: [], shown: ["8000 waiting 0"] },
    { host: ["tcp [fe80::7]%one:8000"], shown: ["8000 listening 1"] },
    { host: ["tcp [fe80::7]%two:8000"], shown: ["8000 listening 1"] },
  ]);
});

test("a family that is switched on is listened on, and one that is switched off is not", async () => {
  const { failed, steps, messages } = await play("families");
  expect({ failed, messages }).toEqual({ failed: "", messages: [] });
  const only4 = {
    host: ["tcp 0.0.0.0:8000", "udp 0.0.0.0:8000"],
    shown: ["8000 listening 1", "8000 listening 1", "8001 waiting 0", "8002 waiting 0", "8000 listening 1"],
    container: ["tcp 0.0.0.0%lo:8000"],
  };
  const both = {
    host: ["tcp *:8000", "tcp [::1]:8001", "tcp [::]:8002", "udp *:8000"],
    shown: ["8000", "8000", "8001", "8002", "8000"].map((port) => `${port} listening 1`),
    container: ["tcp *%lo:8000"],
  };
  expect(steps).toEqual([only4, both, only4]);
});

test("a port that is taken when its address appears is told once, and had when it is free", async () => {
  const { during, freed, shown, messages } = await play("taken");
  expect(during.shown).toEqual(["8000 partial 1 PORT_IN_USE 8001"]);
  expect(freed).toBe("soon");
  expect(shown).toEqual(["8000 listening 2"]);
  expect(messages).toEqual([
    "TCP of the host at 198.51.100.7: not forwarded: 8001 (another program listens there)",
  ]);
});

test("so is that of a family that is switched on, and the one it had is closed", async () => {
  expect(await play("takenFamily")).toEqual({
    during: { host: ["tcp 0.0.0.0:8005", "tcp [::]:8005"], shown: ["8005 partial 1 PORT_IN_USE 8005"] },
    freed: { host: ["tcp *:8005"], shown: ["8005 listening 1"] },
  });
});

test("a socket that was handed in for an address that is not there is used at once", async () => {
  const { failed, steps, refused } = await play("handedIn");
  const step = { host: ["tcp 198.51.100.7:80"], shown: ["80 listening 1"] };
  expect({ failed, steps }).toEqual({ failed: "", steps: [step, step, step] });
  expect(refused).toMatch(/^PORT_IN_USE: .*port 81 /);
});

test("a host that does not come to rest does not fill the log", async () => {
  expect(await play("restless")).toEqual({ lines: 30 });
});

test("what could not be had if it were there is refused at once, and nothing is left", async () => {
  const { refusals, left, shown } = await play("impossible");
  expect(refusals).toEqual([
    expect.stringMatching(/^PORT_IN_USE: .*8000 of the host at 198\.51\.100\.7/),
    expect.stringMatching(/^PORT_IN_USE: .*8000 of the host:/),
    expect.stringMatching(/^USAGE: .*there already/),
  ]);
  expect({ left, shown }).toEqual({ left: 0, shown: [] });
});

test("UDP flows keep their socket while its address is away, and it is used again", async () => {
  const socket = { host: ["udp 198.51.100.7:8000"] };
  expect(await play("linger")).toEqual({
    gone: { ...socket, shown: ["8000 waiting 0"] },
    isClosedToNew: true,
    back: { ...socket, shown: ["8000 listening 1"] },
    isSame: true,
    last: { ...socket, shown: ["8000 listening 1"] },
  });
});

test("automatic rules wait, too", async () => {
  const { failed, steps } = await play("auto");
  expect(failed).toBe("");
  expect(steps.map(({ host }: { host: string[] }) => host)).toEqual([[], ["tcp 198.51.100.7:4001"], []]);
});

test("a thousand rules that wait cost little when the host changes, and else nothing", async () => {
  const { milliseconds, waiting, notes } = await play("many");
  expect({ waiting, notes }).toEqual({ waiting: 1000, notes: 9 });
  // Usually 0.002, 0.01 and 6.
  expect(milliseconds.none).toBeLessThan(0.1);
  expect(milliseconds.same).toBeLessThan(0.5);
  expect(milliseconds.distinct).toBeLessThan(50);
});

test("after any changes of host and rules it is what a fresh start would give", async () => {
  expect(await play("random")).toEqual({ host: [] });
}, 60_000);
