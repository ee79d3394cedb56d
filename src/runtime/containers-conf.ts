/** Directories that Podman's configuration names. @see containers.conf(5) */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The value of a key that is a list of texts, of the last file that has it: the distribution's, the machine's, the
 * user's. Undefined when none has it.
 */
export function containersConf(key: string, env: NodeJS.ProcessEnv): string[] | undefined {
  const pattern = new RegExp(`^[ \\t]*${key}[ \\t]*=[ \\t]*\\[([^\\]]*)\\]`, "m");
  const values = configurationFiles(env).map((file) => pattern.exec(contents(file))?.[1]);
  const last = values.findLast((value) => value !== undefined);
  return last === undefined ? undefined : Array.from(last.matchAll(/"([^"]*)"/g), ([, text]) => text);
}

function configurationFiles(env: NodeJS.ProcessEnv): string[] {
  const only = env["CONTAINERS_CONF"];
  if (only !== undefined && only !== "") return [only];
  const home = env["XDG_CONFIG_HOME"] ?? join(env["HOME"] ?? "/", ".config");
  const machine = ["/usr/share/containers", "/etc/containers"];
  const folders = process.geteuid!() === 0 ? machine : [...machine, join(home, "containers")];
  return folders.flatMap((folder) => {
    const file = join(folder, "containers.conf");
    return [file, ...filesIn(`${file}.d`).filter((path) => path.endsWith(".conf"))];
  });
}

/** Paths of what is in a directory, in order; none when it cannot be read. */
export function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .toSorted()
      .map((name) => join(directory, name));
  } catch {
    return [];
  }
}

/** The text of a file; empty when it cannot be read. */
export function contents(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
