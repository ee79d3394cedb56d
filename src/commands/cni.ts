/** The CNI plugin: its verbs, and how a call begins and ends. What a verb does is loaded only when it is asked for. */
import { text } from "node:stream/consumers";
import { dispatch, type CniVerbs } from "../cni/dispatch.ts";
import { keepOneStateRoot } from "./one-state-root.ts";
import { print, tell } from "./output.ts";

const VERBS: CniVerbs = {
  ADD: {
    required: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
    run: async (request) => (await import("./cni-add.ts")).add(request),
  },
  DEL: {
    required: ["CNI_CONTAINERID", "CNI_IFNAME"],
    run: async (request) => (await import("./cni-del.ts")).del(request),
  },
};

/** Gives the exit status. */
export async function cni(environment: NodeJS.ProcessEnv): Promise<number> {
  keepOneStateRoot(environment);
  const { status, stdout, stderr } = await dispatch(environment, () => text(process.stdin), VERBS);
  if (stderr !== "") tell(stderr);
  if (stdout !== "") print(stdout);
  return status;
}
