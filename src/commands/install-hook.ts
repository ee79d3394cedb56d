/** `bucatini install-hook`: tells container engines of the OCI hook. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { AppError } from "../base/errors.ts";
import { type ParsedArguments, takeNoArguments, usage } from "../config/command-line.ts";
import { CDI_DEVICE, cdiSpecification, hookDescription, type HookCondition } from "../oci/registration.ts";
import { whyNotWritten } from "../runtime/file-failure.ts";
import { installedHook } from "../runtime/installation.ts";
import { print } from "./output.ts";

/** Directories that are read where nobody says otherwise. */
const HOOKS_DIRECTORY = "/usr/share/containers/oci/hooks.d";
const CDI_DIRECTORY = "/etc/cdi";

interface Registration {
  directory: string;
  file: string;
  document: unknown;
  /** What somebody does to use it. */
  next: string[];
}

/** Gives the exit status. Throws USAGE or FILE. */
export function installHook({ values, rest }: ParsedArguments): number {
  takeNoArguments("install-hook", rest);
  const dir = values.get("dir")?.at(-1);
  const condition = hookCondition(values);
  const { directory, file, document, next } = values.has("cdi") ? cdi(dir) : hooksD(dir, condition);
  const path = join(directory, file);
  const text = `${JSON.stringify(document, null, 2)}\n`;
  if (values.has("print")) {
    print(text.trimEnd());
  } else if (values.has("uninstall")) {
    const was = existsSync(path);
    orFail(`remove ${path}`, () => rmSync(path, { force: true }));
    print(was ? `${path} is removed; containers that use it keep it until they end` : `there is no ${path}`);
  } else {
    orFail(`write ${path}`, () => write(directory, path, text));
    print([`wrote ${path}`, ...next].join("\n"));
  }
  return 0;
}

/** Throws USAGE. */
function hookCondition(values: ParsedArguments["values"]): HookCondition {
  const given = values.get("annotation")?.at(-1);
  if (values.has("cdi") && (given !== undefined || values.has("always"))) {
    throw usage("--cdi is for containers with a device, so --annotation and --always do not go with it");
  }
  if (!values.has("always")) {
    const [, annotation, value] = /^([^=]+)=(.*)$/s.exec(given ?? "org.bucatini=true") ?? [];
    if (annotation === undefined) throw usage(`--annotation ${given}: write KEY=VALUE`);
    return { annotation, value };
  }
  if (given !== undefined) throw usage("--always and --annotation contradict each other");
  return { always: true };
}

/** With the interpreter by name: there may be no PATH. */
const command = (): { path: string; args: string[] } => ({
  path: process.execPath,
  args: ["node", installedHook()],
});

function hooksD(dir: string | undefined, condition: HookCondition): Registration {
  const directory = resolve(dir ?? HOOKS_DIRECTORY);
  const asked = "always" in condition ? "" : `--annotation ${condition.annotation}=${condition.value} `;
  return {
    directory,
    file: "bucatini.json",
    document: hookDescription(command(), condition),
    next: [
      ...(directory === HOOKS_DIRECTORY
        ? []
        : [`in containers.conf, section [engine]: hooks_dir = ["${directory}"]`]),
      `then: podman run --network none ${asked}...`,
    ],
  };
}

function cdi(dir: string | undefined): Registration {
  const directory = resolve(dir ?? CDI_DIRECTORY);
  return {
    directory,
    file: "bucatini.org-net.json",
    document: cdiSpecification(command()),
    next: [
      ...(directory === CDI_DIRECTORY
        ? []
        : [`in containers.conf, section [engine]: cdi_spec_dirs = ["${directory}"]`]),
      `then: podman run --network none --device ${CDI_DEVICE} ...`,
    ],
  };
}

/** In one step: engines may be reading the directory. */
function write(directory: string, path: string, text: string): void {
  mkdirSync(directory, { recursive: true });
  const temporary = `${path}.new`;
  try {
    writeFileSync(temporary, text, { mode: 0o644 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function orFail(what: string, change: () => void): void {
  try {
    change();
  } catch (cause) {
    const remedy = "do it as root, or name a directory of your own with --dir";
    throw new AppError("FILE", `cannot ${what}: ${whyNotWritten(cause)}; ${remedy}`, { cause });
  }
}
