/** The executable that takes the place of pasta. */
import { pasta } from "./commands/pasta.ts";

// One thread of the pool, so that it is the same one that stays in the container's namespace (kernel/namespace.ts).
process.env["UV_THREADPOOL_SIZE"] = "1";
void pasta(process.argv.slice(2)).then((status) => process.exit(status));
