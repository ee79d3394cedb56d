/** The commands that README.md tells people to type, and a place where they can be typed. */
import { cpSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Network } from "./network.ts";
import type { Space } from "./space.ts";
import type { Stage } from "./stage.ts";

const ROOT = resolve(__dirname, "../..");

/** The indented blocks below a heading, each as it stands there. */
export function readmeBlocks(heading: string): string[] {
  const text = readFileSync(join(ROOT, "README.md"), "utf8");
  const section = text.split(/^#+ /m).find((each) => each.startsWith(`${heading}\n`)) ?? "";
  const blocks = section.match(/(?:^ {4}.*\n)+/gm) ?? [];
  return blocks.map((block) => block.replaceAll(/^ {4}/gm, ""));
}

/** Puts what `make install` needs beside dist/. */
export function stageInstaller(stage: Stage): void {
  for (const name of ["install.sh", "plugin", "systemd"]) {
    cpSync(join(ROOT, name), join(stage.dir, name), { recursive: true });
  }
}

/** `make install` where dist/ has been built already. */
const AS_ROOT = `set -e
  make() { shift; env "$@" sh $T/install.sh install; }
  `;

/** Gives directories of the machine, into which commands write, a layer in memory. */
export async function addLayers(net: Network, names = ["etc", "opt", "usr/local"]): Promise<void> {
  await net.outside.run(`set -e
    for name in ${names.join(" ")}; do
      layer=/run/layers/$name
      mkdir -p $layer/upper $layer/work
      mount -t overlay overlay -o lowerdir=/$name,upperdir=$layer/upper,workdir=$layer/work /$name
    done
    mount --bind /run/resolv.conf /etc/resolv.conf`);
}

/**
 * Types a block: what follows "sudo" as root, everything else in `space`. Returns what was printed.
 * @param functions shell functions for root, in the place of commands
 */
export async function type(net: Network, space: Space, block: string, functions = ""): Promise<string> {
  let output = "";
  for (const line of block.trim().split("\n")) {
    const asRoot = line.startsWith("sudo ");
    const where = asRoot ? net.outside : space;
    output += await where.run(asRoot ? AS_ROOT + functions + line.slice("sudo ".length) : line, {
      seconds: 60,
    });
  }
  return output;
}
