/**
 * The second launcher: started by attach-engine.ts inside the user namespace that has power over the container,
 * and still in the host's network namespace. Descriptors: LAUNCHER_FDS. Ends at once when the first one dies.
 */
import { readFileSync, rmSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { dirname } from "node:path";
import { AppError, errorCode } from "../base/errors.ts";
import { keepDescriptorsFromPrograms } from "../kernel/close-on-exec.ts";
import { namespaceId } from "../kernel/namespace.ts";
import { LAUNCHER_FDS, NO_PRIVILEGE, type InnerJob } from "./attach-engine.ts";
import { launch, type Launched } from "./launch.ts";
import { hasSysAdmin } from "./process-info.ts";
import { enginesAt, type FoundEngine } from "./state-directory.ts";

function report(result: unknown): never {
  writeSync(LAUNCHER_FDS.result, JSON.stringify(result));
  process.exit(0);
}

/** An engine whose caller has just died is wanted by nobody. */
function reportLaunched(launched: Launched): never {
  try {
    report(launched);
  } catch (error) {
    process.kill(launched.state.pid);
    throw error;
  }
}

/** Ends with the first launcher. An engine that has not been recorded yet sees its ready pipe vanish. */
function abandon({ directory }: FoundEngine): never {
  const engine = enginesAt(dirname(directory)).find((each) => each.directory === directory);
  if (engine?.state.phase === "running") process.kill(engine.state.pid);
  rmSync(directory, { recursive: true, force: true });
  process.exit(1);
}

async function main(): Promise<void> {
  if (!hasSysAdmin()) report(NO_PRIVILEGE);
  keepDescriptorsFromPrograms();
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own launcher wrote it
  const { request, netnsPath } = JSON.parse(readFileSync(LAUNCHER_FDS.request, "utf8")) as InnerJob;
  new Socket({ fd: LAUNCHER_FDS.result }).resume().on("end", () => abandon(request.engine));
  try {
    const { netns: fd, stderr } = LAUNCHER_FDS;
    reportLaunched(await launch(request, { fd, id: namespaceId(fd), path: netnsPath }, stderr));
  } catch (error) {
    if (error instanceof AppError) report(error);
    report({ code: "INTERNAL", message: error instanceof Error ? error.message : errorCode(error) });
  }
}

void main();
