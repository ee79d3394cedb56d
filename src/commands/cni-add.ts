/** CNI ADD: connects a container's network namespace. */
import type { CniRequest } from "../cni/dispatch.ts";
import { addResult, type AddResult } from "../cni/result.ts";
import { checkCniConfig, networkFromCni } from "../config/from-cni.ts";
import { forwardingResolvers, listedResolvers } from "../config/resolv-conf.ts";
import { attachmentId } from "./attachment.ts";
import { connect } from "./connect.ts";

/** Throws ConfigError or AppError, and then leaves nothing behind. */
export function add(request: CniRequest): Promise<AddResult> {
  const config = checkCniConfig(request.config);
  const network = networkFromCni(config, request.ifname);
  const dns = config.dns ?? { nameservers: listedResolvers(network) };
  const asked = {
    network,
    name: attachmentId(request),
    target: { netns: request.netns },
    foreground: false,
    process: config.logFile === undefined ? {} : { logFile: config.logFile },
  };
  return connect(asked, forwardingResolvers(network), (_, { plan }) =>
    addResult(request.version, request, plan, dns),
  );
}
