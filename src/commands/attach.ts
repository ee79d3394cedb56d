/** `bucatini attach`: connects a network namespace that already exists. */
import { givenResolvers } from "../config/resolv-conf.ts";
import { waitForEnd } from "../runtime/control-client.ts";
import { connect } from "./connect.ts";
import type { AttachRequest } from "./options.ts";
import { print } from "./output.ts";

export function attach(asked: AttachRequest): Promise<number> {
  return connect(asked, givenResolvers(asked.network), async (directory, { state }) => {
    if (asked.foreground) await waitForEnd({ directory, state }, Number.POSITIVE_INFINITY);
    else print(state.id);
    return 0;
  });
}
