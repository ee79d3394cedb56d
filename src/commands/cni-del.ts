/** CNI DEL: ends the engine of an attachment. Asks for nothing but container and interface. */
import type { CniRequest } from "../cni/dispatch.ts";
import { endAttachment } from "./attachment.ts";

/** Throws AppError. */
export const del = (request: CniRequest): Promise<void> => endAttachment(request);
