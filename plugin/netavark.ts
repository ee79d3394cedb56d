/** The netavark plugin's executable. */
import { netavark } from "../src/commands/netavark.ts";

// One thread of the pool, so that it is the same one that stays in the container's namespace (kernel/namespace.ts).
process.env["UV_THREADPOOL_SIZE"] = "1";
void netavark(process.argv.slice(2), process.env).then((status) => process.exit(status));
