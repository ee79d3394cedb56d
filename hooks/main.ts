/** The OCI hook's executable. */
import { hook } from "../src/commands/hook.ts";

// One thread of the pool, so that it is the same one that stays in the container's namespace (kernel/namespace.ts).
process.env["UV_THREADPOOL_SIZE"] = "1";
void hook(process.env).then((status) => process.exit(status));
