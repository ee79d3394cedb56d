/** The CNI plugin: its verbs, and how a call begins and ends. What a verb does is loaded only when it is asked for. */
import { dispatch, type CniVerbs } from "../cni/dispatch.ts";
import { readInput } from "./input.ts";
import { print, tell } from "./output.ts";

const VERBS: CniVerbs = {
  ADD: async (request) => (await ready(import("./cni-add.ts"))).add(request),
  DEL: async (request) => (await ready(import("./cni-del.ts"))).del(request),
  CHECK: async (request) => (await ready(import("./cni-check.ts"))).check(request),
  GC: async (request) => (await ready(import("./cni-gc.ts"))).gc(request),
  STATUS: async (request) => (await ready(import("./cni-status.ts"))).status(request),
};

/** A verb, once the place of our state is settled. */
async function ready<Verb>(verb: Promise<Verb>): Promise<Verb> {
  (await import("./one-state-root.ts")).keepOneStateRoot(process.env);
  return verb;
}

/** Gives the exit status. */
export async function cni(environment: NodeJS.ProcessEnv): Promise<number> {
  const { status, stdout, stderr } = await dispatch(environment, readInput, VERBS);
  if (stderr !== "") tell(stderr);
  if (stdout !== "") print(stdout);
  return status;
}
