/** ADD without the system below it: the container gets what the configuration says, and nothing of a host. */
import type { CniRequest } from "../../src/cni/dispatch.ts";
import { formatResult } from "../../src/cni/format-result.ts";
import { addResult, mergeResults } from "../../src/cni/result.ts";
import { readWanted } from "../../src/cni/wanted.ts";
import { NO_TEMPLATE } from "../../src/config/host-template.ts";
import { planNetwork } from "../../src/config/network-plan.ts";

export const EPHEMERAL = { first: 32_768, last: 60_999 };

export async function addOnPaper(request: CniRequest): Promise<unknown> {
  const { network, dns, previous } = readWanted(request, EPHEMERAL);
  const ours = addResult(request, planNetwork(NO_TEMPLATE, network), dns);
  return formatResult(previous === undefined ? ours : mergeResults(previous, ours), request.version);
}
