/** Who holds a port, found in the kernel's lists and in /proc. */
import { afterEach, expect, test } from "@jest/globals";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { AppError } from "../../src/base/errors.ts";
import { describeHolder, nameHolder } from "../../src/runtime/port-holder.ts";

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill();
    await once(child, "exit");
  }
});

/** A program that has a socket; gives its process id and port. @param code makes it and calls say(port) */
async function hold(code: string): Promise<[pid: number, port: number]> {
  const child = spawn(process.execPath, ["-e", `const say = (port) => console.log(port);${code}`]);
  children.push(child);
  const [text] = (await once(child.stdout, "data")) as [Buffer];
  return [child.pid!, Number(text.toString())];
}

const listen = (options: string): string =>
  `const s = require("net").createServer().listen(${options}, () => say(s.address().port));`;

test("a TCP listener is found where it is in the way", async () => {
  const [pid, port] = await hold(listen('{ host: "127.0.0.1", port: 0 }'));
  const holder = expect.stringMatching(new RegExp(`^\\S+ \\(process ${pid}\\)$`));
  expect(await describeHolder({ protocol: "tcp", port })).toEqual(holder);
  expect(await describeHolder({ protocol: "tcp", port, address: "127.0.0.1" })).toEqual(holder);
  expect(await describeHolder({ protocol: "tcp", port, address: "0.0.0.0" })).toEqual(holder);
  expect(await describeHolder({ protocol: "tcp", port, address: "127.0.0.2" })).toBe("");
  expect(await describeHolder({ protocol: "tcp", port, address: "::" })).toBe("");
  expect(await describeHolder({ protocol: "udp", port })).toBe("");
});

test("a listener of both families is in everybody's way", async () => {
  const [pid, port] = await hold(listen('{ host: "::", port: 0 }'));
  for (const where of [{}, { address: "127.0.0.2" }, { address: "::1" }]) {
    expect(await describeHolder({ protocol: "tcp", port, ...where })).toContain(`(process ${pid})`);
  }
});

test("a UDP socket is found, and named at the end of the engine's error", async () => {
  const [pid, port] = await hold(
    'const s = require("dgram").createSocket("udp4").bind(0, () => say(s.address().port));',
  );
  const details = { side: "host", protocol: "udp", port, errno: "EADDRINUSE" };
  const error = new AppError("PORT_IN_USE", "cannot listen", { details });
  expect(await nameHolder(error)).toMatchObject({
    code: "PORT_IN_USE",
    message: expect.stringMatching(
      new RegExp(`^cannot listen: \\S+ \\(process ${pid}\\); end it or take another port$`),
    ) as unknown,
    details,
  });
});

test("other errors stay what they are", async () => {
  for (const error of [
    new Error("x"),
    new AppError("BUSY", "x", { details: { side: "host", protocol: "tcp", port: 22 } }),
    new AppError("PORT_IN_USE", "x"),
    new AppError("PORT_IN_USE", "x", { details: { side: "container", protocol: "tcp", port: 22 } }),
    new AppError("PORT_IN_USE", "x", { details: { side: "host", protocol: "tcp", port: 1 } }),
  ]) {
    expect(await nameHolder(error)).toBe(error);
  }
});
