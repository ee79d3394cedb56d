/** `bucatini list`: the running engines of this user. */
import { type ParsedArguments, takeNoArguments } from "../config/command-line.ts";
import { listEngines, type EngineTarget } from "../runtime/state-directory.ts";
import { print, table } from "./output.ts";

export function list({ values, rest }: ParsedArguments): number {
  takeNoArguments("list", rest);
  const states = listEngines().map(({ state, directory }) => ({ ...state, directory }));
  if (values.has("json")) {
    print(JSON.stringify(states, null, 2));
    return 0;
  }
  const rows = states.map((state) => [
    state.id,
    String(state.pid),
    describeTarget(state.target),
    state.phase,
  ]);
  print(table([["ID", "ENGINE", "TARGET", "PHASE"], ...rows]));
  return 0;
}

function describeTarget(target: EngineTarget): string {
  if (target.kind === "run") return target.command ?? "run";
  return target.kind === "pid" ? `pid ${target.pid}` : (target.path ?? "netns");
}
