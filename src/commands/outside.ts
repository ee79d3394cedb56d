/** Where an engine belongs whose plugin is called by a rootless runtime. */
import type { AttachRequest } from "./options.ts";

/**
 * Outside, through the broker if need be, and without ports where the runtime publishes them by itself.
 * @param publishes whether ports are to be forwarded
 */
export function outsideOf(
  environment: Readonly<Record<string, string | undefined>>,
  publishes: boolean,
): Pick<AttachRequest, "outside"> {
  // RootlessKit leads clients of published ports to the loopback of its own namespace: somebody has to listen there.
  if (publishes && environment["ROOTLESSKIT_STATE_DIR"] !== undefined) return {};
  // Podman's rootlessport listens outside, and connects to the container from within.
  return { outside: { ports: environment["_CONTAINERS_USERNS_CONFIGURED"] === undefined } };
}
