/** The part of `bucatini tour` that runs in the container: uses the network and says what it saw. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { Resolver } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { get } from "node:http";
import { networkInterfaces } from "node:os";
import { formatIp, ipFromBytes, ipv4Words } from "../base/address.ts";
import { findProgram } from "../runtime/tools.ts";
import { print } from "./output.ts";
import type { TourPlan } from "./tour.ts";

const DOWNLOAD_TIMEOUT_MS = 60_000;
let failures = 0;

const say = (topic: string, text: string): void => print(`  ${topic.padEnd(10)} ${text}`);

/** Prints what `look` finds; a failure is printed too, and counted. */
async function step(topic: string, look: () => Promise<string> | string): Promise<void> {
  try {
    say(topic, await look());
  } catch (error) {
    failures++;
    say(topic, `FAILED: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function addresses(): string {
  const all = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).filter(({ internal }) => !internal).map(({ cidr }) => `${cidr} on ${name}`),
  );
  if (all.length === 0) throw new Error("there is no interface but the loopback");
  return all.join(", ");
}

/** A table of procfs as words. */
const rows = (path: string): string[][] =>
  readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));

/** Default routes of both families. @see proc_net(5) */
function routes(): string {
  const four = rows("/proc/net/route")
    .filter(([, destination, , flags]) => destination === "00000000" && (Number(`0x${flags}`) & 2) !== 0)
    .map(([name, , gateway]) => {
      // The kernel prints the bytes as they lie in memory, as one number.
      const words = ipv4Words(Buffer.from(gateway, "hex").readUInt32LE());
      return `default via ${formatIp(words)} on ${name}`;
    });
  const six = rows("/proc/net/ipv6_route")
    .filter(
      ([destination, length, , , gateway]) =>
        /^0+$/.test(destination) && length === "00" && !/^0+$/.test(gateway),
    )
    .map((fields) => `default via ${formatIp(ipFromBytes(Buffer.from(fields[4], "hex")))} on ${fields[9]}`);
  return [...four, ...six].join(", ") || "no default route: the machine has none either";
}

function resolvers(): string {
  const servers = Array.from(
    readFileSync("/etc/resolv.conf", "utf8").matchAll(/^nameserver (.*)$/gm),
    ([, text]) => text,
  );
  return servers.join(", ");
}

function download({ url, sha256, bytes }: TourPlan["downloads"][number]): Promise<string> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout: DOWNLOAD_TIMEOUT_MS }, (response) => {
      const hash = createHash("sha256");
      let length = 0;
      let ms = 0;
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        ms = performance.now() - started;
        hash.update(chunk);
      });
      response.on("error", reject);
      response.on("end", () => {
        if (length !== bytes || hash.digest("hex") !== sha256)
          reject(new Error(`${length} of ${bytes} bytes came, or others`));
        else resolve(`${bytes / 1024 / 1024} MiB from ${url} in ${ms.toFixed(0)} ms, content equal`);
      });
    });
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error("nothing comes")));
  });
}

async function lookUp({ name, server }: TourPlan["name"]): Promise<string> {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  if (server !== undefined) resolver.setServers([server]);
  const found = await resolver.resolve4(name);
  return `${name} is ${found.join(", ")}, says ${resolver.getServers().join(", ")}`;
}

function ping(plan: TourPlan["ping"]): string {
  if ("whyNot" in plan) return `not tried, ${plan.whyNot}`;
  const program = findProgram("ping", process.env["PATH"]);
  if (program === undefined) return "not tried, there is no ping program here";
  const { stdout, stderr } = spawnSync(program, ["-c", "1", "-W", "2", plan.address], { encoding: "utf8" });
  const time = /time=\S+ ?ms/.exec(stdout);
  if (time === null) throw new Error((stderr || stdout).trim().split("\n").at(-1) ?? "no answer");
  return `${plan.address} answers, ${time[0]}`;
}

async function main(): Promise<void> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- tour.ts wrote it
  const plan = JSON.parse(process.argv[2]) as TourPlan;
  await step("addresses", addresses);
  await step("routes", routes);
  await step("resolver", resolvers);
  for (const each of plan.downloads) {
    // One after the other, so that the times mean something.
    // oxlint-disable-next-line no-await-in-loop
    await step(each.family, () => download(each));
  }
  await step("name", () => lookUp(plan.name));
  await step("ping", () => ping(plan.ping));
  process.exit(failures === 0 ? 0 : 1);
}

void main();
