/** What the programs that start containers on this machine would find of us. */
import { existsSync, lstatSync, realpathSync } from "node:fs";
import { delimiter, join } from "node:path";
import { brokerSocket, listens } from "./broker.ts";
import { containersConf, contents, filesIn } from "./containers-conf.ts";
import { type Finding, finding } from "./finding.ts";
import { installedFile } from "./installation.ts";
import { hasSysAdmin } from "./process-info.ts";
import { executableIn, findProgram } from "./tools.ts";

type Environment = NodeJS.ProcessEnv;

/** Where Podman looks unless its configuration says otherwise. */
const HELPER_DIRECTORIES = [
  "/usr/local/libexec/podman",
  "/usr/local/lib/podman",
  "/usr/libexec/podman",
  "/usr/lib/podman",
];
/** Where runtimes look for CNI plugins; below these also in the home directory. */
const CNI_DIRECTORIES = [
  "/opt/cni/bin",
  "/usr/local/libexec/cni",
  "/usr/local/lib/cni",
  "/usr/libexec/cni",
  "/usr/lib/cni",
];
const CNI_HOME_DIRECTORIES = ["opt/cni/bin", ".local/libexec/cni", ".local/lib/cni"];
const NETAVARK_DIRECTORIES = [
  "/usr/local/libexec/netavark",
  "/usr/libexec/netavark",
  "/usr/local/lib/netavark",
  "/usr/lib/netavark",
];
const HOOKS_DIRECTORIES = ["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"];
const CDI_DIRECTORIES = ["/etc/cdi", "/var/run/cdi"];
const CNI_CALLERS = ["containerd", "nerdctl", "crio", "kubelet"];
/** What callers have in PATH that have not been given one. */
const SHORT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".split(delimiter);

/** One for each way to call us; none for callers that are not on this machine. */
export async function callerFindings(env: Environment): Promise<Finding[]> {
  return [
    interpreter(),
    ...podman(env),
    ...cniPlugin(env),
    registration("OCI hook", "install-hook", [
      ...(containersConf("hooks_dir", env) ?? []),
      ...HOOKS_DIRECTORIES,
    ]),
    registration("CDI", "install-hook --cdi", [
      ...(containersConf("cdi_spec_dirs", env) ?? []),
      ...CDI_DIRECTORIES,
    ]),
    ...(await broker(env)),
  ];
}

/** Executables of ours name their interpreter in the first line. */
function interpreter(): Finding {
  const [, path = "", name = ""] = /^#!\s*(\S+)(?:\s+(\S+))?/.exec(contents(ours("cni/bucatini"))) ?? [];
  const works = path.endsWith("/env") ? executableIn(SHORT_PATH, name) !== undefined : existsSync(path);
  if (works) return finding("interpreter", "ok", "found by callers with any PATH");
  const remedy = 'link it into /usr/local/bin, or use what "make install" makes';
  return finding("interpreter", "warning", `node is not found by callers with a short PATH; ${remedy}`);
}

/** Podman from 5 on starts a program `pasta`, of the first directory that has one. */
function podman(env: Environment): Finding[] {
  // It is not asked for its version: even that makes it write into the home directory.
  if (findProgram("podman", env["PATH"]) === undefined) return [];
  const directories = [
    env["CONTAINERS_HELPER_BINARY_DIR"] ?? "",
    ...(containersConf("helper_binaries_dir", env) ?? HELPER_DIRECTORIES),
    ...(env["PATH"] ?? "").split(delimiter),
  ];
  return [pasta(executableIn(directories, "pasta"), directories), netavarkPlugin(env)];
}

function pasta(found: string | undefined, directories: readonly string[]): Finding {
  if (found !== undefined && realpathSync(found) === ours("bin/pasta")) {
    return finding("Podman 5", "ok", `its networks are made by ${found}`);
  }
  const instead = found === undefined ? "finds no pasta" : `uses ${found}, which is not ours`;
  const first = directories.find((each) => each !== "") ?? "";
  return finding("Podman 5", "unused", `${instead}; to change that: make install PASTA_BIN=${first}`);
}

function netavarkPlugin(env: Environment): Finding {
  const directories = containersConf("netavark_plugin_dirs", env) ?? NETAVARK_DIRECTORIES;
  const plugin = executableIn(directories, "bucatini");
  return plugin === undefined
    ? finding(
        "netavark",
        "unused",
        `Podman finds no plugin of ours in ${directories.join(", ")}; make install`,
      )
    : finding("netavark", "ok", `${plugin}; podman network create -d bucatini`);
}

/** Each caller looks into some of the known directories. */
function cniPlugin(env: Environment): Finding[] {
  const home = env["HOME"];
  const directories = [
    ...CNI_DIRECTORIES,
    ...(home === undefined ? [] : CNI_HOME_DIRECTORIES.map((each) => join(home, each))),
    ...(containersConf("cni_plugin_dirs", env) ?? []),
  ];
  const names = directories.map((each) => join(each, "bucatini"));
  const broken = names.find((path) => isLink(path) && !existsSync(path));
  if (broken !== undefined) {
    const remedy = "remove it, or install again";
    return [finding("CNI plugin", "warning", `${broken} leads to a file that is gone; ${remedy}`)];
  }
  const found = [...new Set(names.filter((path) => existsSync(path)))];
  if (found.length > 0) return [finding("CNI plugin", "ok", found.join(", "))];
  const caller = CNI_CALLERS.find((name) => findProgram(name, env["PATH"]) !== undefined);
  if (caller === undefined) return [];
  const text = `${caller} finds none of ours; make install CNI_BIN=${CNI_DIRECTORIES[0]}`;
  return [finding("CNI plugin", "unused", text)];
}

/** A file that makes engines call the hook. */
function registration(check: string, command: string, directories: readonly string[]): Finding {
  for (const path of directories.flatMap(filesIn)) {
    const hook = /"([^"]*\/bucatini-oci-hook)"/.exec(contents(path))?.[1];
    if (hook === undefined) continue;
    if (existsSync(hook)) return finding(check, "ok", path);
    const text = `${path} names ${hook}, which is gone; bucatini ${command} writes it again`;
    return finding(check, "warning", text);
  }
  return finding(check, "unused", `not registered; bucatini ${command}`);
}

/** Plugins that rootless engines call in an inner network namespace ask it. */
async function broker(env: Environment): Promise<Finding[]> {
  const caller = ["podman", "nerdctl"].find((name) => findProgram(name, env["PATH"]) !== undefined);
  const path = brokerSocket();
  if (hasSysAdmin() || caller === undefined || path === undefined) return [];
  if (await listens(path)) return [finding("broker", "ok", `listens at ${path}`)];
  const remedy = "systemctl --user enable --now bucatini-broker.socket, or bucatini broker";
  const text = `nobody listens at ${path}, so networks of rootless ${caller} are slower; start it: ${remedy}`;
  return [finding("broker", "unused", text)];
}

/** A file of our own, by its place in dist/. */
const ours = (file: string): string => realpathSync(installedFile(`../${file}`));

/** False where we may not look, as in the home directory of root, which su(1) leaves in HOME. */
function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}
