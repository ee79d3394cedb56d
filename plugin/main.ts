/** The CNI plugin's executable. */
import { cni } from "../src/commands/cni.ts";

// One thread of the pool, so that it is the same one that stays in the container's namespace (kernel/namespace.ts).
process.env["UV_THREADPOOL_SIZE"] = "1";
void cni(process.env).then((status) => process.exit(status));
