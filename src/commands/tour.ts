/**
 * `bucatini tour`: proves on this machine, and with nothing but this machine, that containers are connected.
 * Servers here, a container that uses them, and a line about each thing it saw (tour-inside.ts).
 */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { resolve4 } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type ParsedArguments, takeNoArguments } from "../config/command-line.ts";
import { installedFile } from "../runtime/installation.ts";
import { checkTun } from "../runtime/check-tun.ts";
import { print } from "./output.ts";

/** What the container stands for the host's loopback with, for the length of the tour. */
const HOST_ALIAS_4 = "169.254.1.2";
const HOST_ALIAS_6 = "fd62:7563:6174:696e::2";
/** A loopback address that nobody else listens on, so that port 53 is free where the system lets us have it. */
const RESOLVER = "127.66.0.53";
const DOWNLOAD_BYTES = 64 * 1024 * 1024;
/** Looked up when this machine has a resolver that answers. */
const PUBLIC_NAME = "example.org";
const OWN_NAME = "host.bucatini.example";
const RESOLVER_PATIENCE_MS = 1500;

/** What the container is to try; plain JSON. */
export interface TourPlan {
  downloads: { family: string; url: string; sha256: string; bytes: number }[];
  /** `server` is "address:port", absent for the resolver in resolv.conf. */
  name: { name: string; server?: string };
  ping: { address: string } | { whyNot: string };
}

export async function tour({ values, rest }: ParsedArguments): Promise<number> {
  takeNoArguments("tour", rest);
  checkTun();
  print("A new container, connected by bucatini without privilege:");
  const content = randomBytes(1024 * 1024);
  const sha256 = createHash("sha256");
  for (let sent = 0; sent < DOWNLOAD_BYTES; sent += content.length) sha256.update(content);
  const hash = sha256.digest("hex");
  const options: string[] = ["--map-host-loopback", HOST_ALIAS_4, "--map-host-loopback", HOST_ALIAS_6];
  const plan: TourPlan = { downloads: [], name: { name: PUBLIC_NAME }, ping: pingPlan() };
  const servers: { close(): unknown }[] = [];
  for (const [family, listen, alias] of [
    ["IPv4", "127.0.0.1", HOST_ALIAS_4],
    ["IPv6", "::1", `[${HOST_ALIAS_6}]`],
  ] as const) {
    const web = createWeb(content);
    // A machine without IPv6 has no ::1.
    // oxlint-disable-next-line no-await-in-loop
    const port = await listenOn(web, listen);
    if (port === undefined) continue;
    servers.push(web);
    plan.downloads.push({ family, url: `http://${alias}:${port}/`, sha256: hash, bytes: DOWNLOAD_BYTES });
  }
  if (!(await hasResolver())) {
    const names = createNames();
    servers.push(names);
    if (await bindTo(names, 53, RESOLVER)) options.push("--dns-host", RESOLVER);
    else {
      await bindTo(names, 0, "127.0.0.1");
      plan.name.server = `${HOST_ALIAS_4}:${names.address().port}`;
    }
    plan.name.name = OWN_NAME;
  }
  for (const level of values.get("log-level") ?? []) options.push("--log-level", level);
  const status = await runInside(options, plan);
  for (const server of servers) server.close();
  print(status === 0 ? "Everything works." : "Not everything works.");
  return status;
}

function runInside(options: readonly string[], plan: TourPlan): Promise<number> {
  const inside = [process.execPath, installedFile("tour-inside.cjs"), JSON.stringify(plan)];
  const child = spawn(process.execPath, [process.argv[1], "run", ...options, "--", ...inside], {
    stdio: "inherit",
  });
  return new Promise((resolve) => {
    child.on("exit", (status) => resolve(status ?? 1));
  });
}

/** Answers every request with the content, over and over. */
function createWeb(content: Buffer): Server {
  return createServer((_request, response) => {
    response.writeHead(200, { "content-length": DOWNLOAD_BYTES });
    let left = DOWNLOAD_BYTES;
    const pour = (): void => {
      while (left > 0) {
        left -= content.length;
        if (!response.write(content)) break;
      }
      if (left === 0) response.end();
      else response.once("drain", pour);
    };
    pour();
  });
}

/** The port, or undefined when the address cannot be had. */
function listenOn(server: Server, address: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    server.once("error", () => resolve(undefined));
    server.listen(0, address, () => {
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : undefined);
    });
  });
}

function bindTo(socket: Socket, port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once("error", () => resolve(false));
    socket.bind({ port, address }, () => resolve(true));
  });
}

/** A resolver that answers every question with 192.0.2.1 (RFC 1035 section 4.1). */
function createNames(): Socket {
  const socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    const questionEnd = query.indexOf(0, 12) + 5;
    if (query.length < 17 || questionEnd > query.length) return;
    const header = Buffer.from([query[0], query[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    // A pointer to the name of the question, type A, class IN, 60 seconds, four bytes.
    const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    socket.send(Buffer.concat([header, query.subarray(12, questionEnd), answer]), port, address);
  });
  return socket;
}

async function hasResolver(): Promise<boolean> {
  const answer = resolve4(PUBLIC_NAME).then(
    () => true,
    () => false,
  );
  const patience = new Promise<boolean>((resolve) => {
    setTimeout(() => resolve(false), RESOLVER_PATIENCE_MS).unref();
  });
  return Promise.race([answer, patience]);
}

/** The engine pings through ping sockets, which the machine allows to a range of groups. @see icmp(7) */
function pingPlan(): TourPlan["ping"] {
  const range = readFileSync("/proc/sys/net/ipv4/ping_group_range", "utf8").trim().split(/\s+/).map(Number);
  const groups = [process.getegid!(), ...process.getgroups!()];
  if (groups.some((group) => group >= range[0] && group <= range[1])) return { address: HOST_ALIAS_4 };
  return {
    whyNot: `this machine allows it to no group of yours: sysctl -w net.ipv4.ping_group_range="0 2147483647"`,
  };
}
