/** Which of the running engines a person means. */
import { AppError } from "../base/errors.ts";
import { namespaceIdAt } from "../kernel/namespace.ts";
import { listEngines, type FoundEngine } from "../runtime/state-directory.ts";
import { netnsPath } from "../runtime/target.ts";

/**
 * The engine with this identifier; else the one that serves the process of this number, or the namespace of that
 * process or of this name or path. Throws NOT_RUNNING.
 */
export function findEngine(text: string, engines: readonly FoundEngine[] = listEngines()): FoundEngine {
  const tests: ((engine: FoundEngine) => boolean)[] = [
    ({ state }) => state.id === text,
    ({ state }) => state.target.pid !== undefined && String(state.target.pid) === text,
    ({ state }) => state.target.path === netnsPath(text),
    servesNamespace(text),
  ];
  for (const test of tests) {
    const found = engines.find(test);
    if (found !== undefined) return found;
  }
  throw new AppError(
    "NOT_RUNNING",
    `cannot find an engine for ${text}; "bucatini list" shows those that run`,
  );
}

/** Engines may know a container by the path of its namespace, and people by one of its processes. */
function servesNamespace(text: string): (engine: FoundEngine) => boolean {
  try {
    const id = namespaceIdAt(/^\d+$/.test(text) ? `/proc/${text}/ns/net` : netnsPath(text));
    return ({ state }) => state.target.netns === id;
  } catch {
    return () => false;
  }
}

/** The only engine that runs. Throws NOT_RUNNING for none and USAGE for several. */
export function onlyEngine(): FoundEngine {
  const engines = listEngines();
  const [first] = engines;
  if (first === undefined) throw new AppError("NOT_RUNNING", "no engine is running");
  if (engines.length === 1) return first;
  const ids = engines.map(({ state }) => state.id).join(", ");
  throw new AppError("USAGE", `several engines are running; name one of ${ids}`);
}
