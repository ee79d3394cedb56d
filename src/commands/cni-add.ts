/** CNI ADD: connects a container's network namespace. */
import { formatResult } from "../cni/format-result.ts";
import type { CniRequest } from "../cni/dispatch.ts";
import { withIpam } from "../cni/ipam.ts";
import { addResult, mergeResults } from "../cni/result.ts";
import { readWanted } from "../cni/wanted.ts";
import { forwardingResolvers, listedResolvers } from "../config/resolv-conf.ts";
import type { NetworkOptions } from "../config/options.ts";
import type { Cleanup } from "../runtime/cleanup.ts";
import { ephemeralPorts } from "../runtime/ephemeral-ports.ts";
import { takeReservation } from "../runtime/port-reserver.ts";
import { attachmentId } from "./attachment.ts";
import { ipamAdd } from "./cni-ipam.ts";
import { connect } from "./connect.ts";
import { outsideOf } from "./outside.ts";

/** Gives the result to print. Throws ConfigError, CniError or AppError, and then leaves nothing behind. */
export function add(request: CniRequest): Promise<unknown> {
  const { containerId, ifname, netns, version } = request;
  const wanted = readWanted(request, ephemeralPorts());
  const { name, previous, ipam } = wanted;
  const reservation = takeReservation(containerId, wanted.network);
  let { network } = reservation;
  let { dns } = wanted;
  const askIpam = async (cleanup: Cleanup): Promise<NetworkOptions> => {
    if (ipam === undefined) return network;
    const given = await ipamAdd(request, ipam, cleanup);
    network = withIpam(network, given);
    dns = { ...given.dns, ...dns };
    return network;
  };
  const asked = {
    network,
    name: attachmentId(request),
    target: { netns },
    attachment: { network: name, containerId, ifname },
    foreground: false,
    process: wanted.process,
    listeners: reservation.listeners,
    ...outsideOf(request.environment, network.ports.rules.length > 0),
  };
  return connect(
    asked,
    forwardingResolvers(network),
    (_, { plan }) => {
      const ours = addResult(request, plan, { nameservers: listedResolvers(network), ...dns });
      return formatResult(previous === undefined ? ours : mergeResults(previous, ours), version);
    },
    askIpam,
  );
}
