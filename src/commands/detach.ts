/** `bucatini detach`: ends an engine and waits until nothing is left of it. */
import { type ParsedArguments, usage } from "../config/command-line.ts";
import { stopEngine } from "../runtime/control-client.ts";
import { findEngine } from "./find-engine.ts";

export async function detach({ rest }: ParsedArguments): Promise<number> {
  const [text] = rest;
  if (text === undefined || rest.length > 1) throw usage("detach needs one identifier, process or namespace");
  await stopEngine(findEngine(text));
  return 0;
}
