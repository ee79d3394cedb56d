/** CNI DEL: ends the engine of an attachment. Asks for nothing but container and interface. */
import type { CniRequest } from "../cni/dispatch.ts";
import { stopEngine } from "../runtime/control-client.ts";
import { listEngines } from "../runtime/state-directory.ts";
import { attachmentId } from "./cni-engine.ts";

/** Returns when the engine is gone; an attachment that is unknown is gone already. Throws AppError. */
export async function del(request: CniRequest): Promise<void> {
  const id = attachmentId(request);
  const engine = listEngines().find(({ state }) => state.id === id);
  if (engine !== undefined) await stopEngine(engine);
}
