/** Where programs keep state that runtimes start, now from a login and now from a service. */
import { isInInitialUserNamespace } from "../kernel/user-namespace.ts";

/** For root it must always be the same place. */
export function keepOneStateRoot(environment: NodeJS.ProcessEnv): void {
  if (process.geteuid!() === 0 && isInInitialUserNamespace()) delete environment["XDG_RUNTIME_DIR"];
}
