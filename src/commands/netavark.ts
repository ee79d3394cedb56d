/** The netavark plugin: its verbs, and how a call begins and ends. What a verb does is loaded when it is asked for. */
import { AppError } from "../base/errors.ts";
import { VERSION } from "../config/generated/version.ts";
import { pluginInfo } from "../netavark/result.ts";
import { readInput } from "./input.ts";
import { print } from "./output.ts";

/** Gives the exit status. @param args the words behind the program's name */
export async function netavark(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  try {
    const answer = await run(args, environment);
    if (answer !== undefined) print(JSON.stringify(answer));
    return 0;
  } catch (error) {
    // Podman shows this and nothing else; a key of ours beside it would be an error to it.
    print(JSON.stringify({ error: describe(error) }));
    return 1;
  }
}

async function run(
  [verb = "info", netns]: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<unknown> {
  if (verb === "info") return pluginInfo(VERSION);
  const verbs = await import("./netavark-verbs.ts");
  if (verb === "create") return verbs.create(await readInput());
  if (verb !== "setup" && verb !== "teardown") {
    throw new AppError("USAGE", `there is no command ${verb}: create, setup, teardown or info is expected`);
  }
  if (netns === undefined) throw new AppError("USAGE", `${verb} needs the path of a network namespace`);
  return verbs[verb](await readInput(), netns, environment);
}

const describe = (error: unknown): string => {
  if (error instanceof AppError) return error.message;
  return `internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
};
