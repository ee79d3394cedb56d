/** What the netavark plugin does. */
import { parseArguments } from "../config/command-line.ts";
import { forwardingResolvers, listedResolvers } from "../config/resolv-conf.ts";
import { isInInitialUserNamespace } from "../kernel/user-namespace.ts";
import {
  networkOf,
  parseAttachment,
  parseNetwork,
  type Network,
  type NetworkAttachment,
} from "../netavark/documents.ts";
import { statusBlock } from "../netavark/result.ts";
import { containerWords, networkWords } from "../netavark/words.ts";
import { attachmentId, endAttachment } from "./attachment.ts";
import { connect } from "./connect.ts";
import { keepOneStateRoot } from "./one-state-root.ts";
import { type AttachRequest, HOOK_OPTIONS, NETAVARK_OPTIONS, runtimeRequest } from "./options.ts";
import { tell } from "./output.ts";
import { outsideOf } from "./outside.ts";

/** A new network, checked. Throws USAGE. */
export function create(input: string): Network {
  const network = parseNetwork(input);
  request(networkWords(network, NETAVARK_OPTIONS), "", "");
  // What Podman shows of the network is to be true: there are no names of containers.
  return { ...network, dns_enabled: false };
}

/** Connects a container, and gives what it has got. Throws AppError, and then leaves nothing behind. */
export async function setup(input: string, netns: string, environment: NodeJS.ProcessEnv): Promise<unknown> {
  keepOneStateRoot(environment);
  const attachment = parseAttachment(input);
  const network = networkOf(attachment);
  const words = containerWords(network, attachment, NETAVARK_OPTIONS);
  // Rootless Podman starts us in a network namespace of its own, which need not have the addresses of the host.
  if (!isInInitialUserNamespace()) words.push("--freebind");
  const name = nameOf(attachment);
  const asked = request(words, attachmentId(name), netns);
  if (network.dns_enabled === true) {
    tell(`the network ${network.name} has dns_enabled, but names of containers cannot be looked up in it`);
  }
  const resolvers = forwardingResolvers(asked.network);
  const whole = {
    ...asked,
    // A container may be in several networks.
    attachment: { network: network.id, ...name },
    ...outsideOf(environment, asked.network.ports.rules.length > 0),
  };
  return connect(whole, resolvers, (_, { plan }) =>
    statusBlock(name.ifname, plan, resolvers.length === 0 ? [] : listedResolvers(asked.network)),
  );
}

/** Returns when nothing is left of the connection; there may be none. Throws AppError. */
export async function teardown(input: string, _netns: string, environment: NodeJS.ProcessEnv): Promise<void> {
  keepOneStateRoot(environment);
  await endAttachment(nameOf(parseAttachment(input)));
}

const request = (words: readonly string[], name: string, netns: string): AttachRequest =>
  runtimeRequest(parseArguments(words, HOOK_OPTIONS), name, { netns });

const nameOf = ({
  container_id,
  network_options,
}: NetworkAttachment): { containerId: string; ifname: string } => ({
  containerId: container_id,
  ifname: network_options.interface_name,
});
