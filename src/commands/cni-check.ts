/** CNI CHECK: tells whether an attachment is as ADD left it. */
import { statSync } from "node:fs";
import { AppError } from "../base/errors.ts";
import { missingParts } from "../cni/check.ts";
import type { CniRequest } from "../cni/dispatch.ts";
import { CniCode, CniError } from "../cni/errors.ts";
import { previousResult } from "../cni/previous-result.ts";
import { checkCniConfig, ipamType } from "../config/cni-config.ts";
import { ConfigError } from "../config/config-error.ts";
import type { ContainerNetwork } from "../config/control-types.ts";
import { requestEngine } from "../runtime/control-client.ts";
import { attachmentId, enginesOf } from "./attachment.ts";
import { ipamCall } from "./cni-ipam.ts";

/** Throws ConfigError, CniError or AppError. */
export async function check(request: CniRequest): Promise<void> {
  const config = checkCniConfig(request.config);
  const result = previousResult(config, request.version);
  if (result === undefined) throw new ConfigError("/prevResult", "is missing; CHECK compares with it");
  const ipam = ipamType(config);
  if (ipam !== undefined) await ipamCall(request, ipam, "CHECK");
  const [engine] = enginesOf(request);
  if (engine === undefined) {
    throw new AppError(
      "NOT_RUNNING",
      `the engine ${attachmentId(request)} does not run: nothing connects ${request.ifname}; ` +
        "remove the container from the network (DEL) and add it again",
    );
  }
  if (engine.state.target.netns !== namespaceAt(request.netns)) {
    throw new CniError(
      CniCode.UnknownContainer,
      `the engine ${engine.state.id} serves another network namespace than ${request.netns}`,
    );
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own engine answers
  const actual = (await requestEngine(engine, "container")) as ContainerNetwork;
  const missing = missingParts(request, result, actual);
  if (missing.length === 0) return;
  throw new CniError(CHECK_FAILED, "the container's network is not what it was", missing.join("; "));
}

/** One of our own codes. @see OWN_CODES in cni/errors.ts */
const CHECK_FAILED = 150;

/** Device and inode; undefined for no file. */
function namespaceAt(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}
