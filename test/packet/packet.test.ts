import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { runScript } from "./runner.ts";

const read = (...path: string[]): string => readFileSync(join(__dirname, ...path), "utf8");
const include = (name: string): string => read("include", `${name}.pkt`);

const scripts = ["tcp", "inbound", "splice", "udp", "icmp", "neighbor", "dhcp", "limits"].flatMap((folder) =>
  readdirSync(join(__dirname, folder))
    .filter((name) => name.endsWith(".pkt"))
    .map((name) => `${folder}/${name}`),
);

test.each(scripts)("%s", (script) => {
  const lines = runScript(script, read(script), include);
  expect(lines).toBeGreaterThan(1);
});
