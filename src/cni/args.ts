/** CNI_ARGS: "KEY=VALUE;KEY=VALUE", in any order. @see CNI conventions, "CNI_ARGS" */
import type { CniArguments } from "../config/cni-runtime.ts";
import { hostPrefix, interfaceMac, ValueError } from "../config/values.ts";
import { type Environment, invalidEnvironment } from "./environment.ts";

/** Keys that mean something here; IgnoreUnknown lets others pass. */
const KEYS = ["IP", "MAC", "IgnoreUnknown"];
/** The forms of "yes" and "no" that other plugins take. */
const YES = ["1", "true"];
const NO = ["", "0", "false"];

/**
 * Throws CniError.
 * @param hasOthers keys that mean nothing here may be for an IPAM plugin
 */
export function readArguments(environment: Environment, hasOthers: boolean): CniArguments {
  const pairs = (environment["CNI_ARGS"] ?? "").split(";").filter((pair) => pair !== "");
  const values = new Map(pairs.map(keyAndValue));
  const unknown = [...values.keys()].filter((key) => !KEYS.includes(key));
  if (unknown.length > 0 && !hasOthers && !isTrue(values.get("IgnoreUnknown") ?? "")) {
    throw wrong(`nothing is known of ${unknown.join(", ")}; take it away, or add IgnoreUnknown=1`);
  }
  const ips = (values.get("IP") ?? "").split(",").filter((text) => text !== "");
  const mac = values.get("MAC") ?? "";
  return {
    ips: ips.map((text) => read("IP", text, hostPrefix)),
    ...(mac !== "" && { mac: read("MAC", mac, interfaceMac) }),
  };
}

function keyAndValue(pair: string): [string, string] {
  const at = pair.indexOf("=");
  if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
  throw wrong(`${pair} is no KEY=VALUE`);
}

function isTrue(text: string): boolean {
  const word = text.toLowerCase();
  if (YES.includes(word) || NO.includes(word)) return YES.includes(word);
  throw wrong(`IgnoreUnknown=${text} is neither 1 nor 0`);
}

function read<Value>(key: string, text: string, parse: (text: string) => Value): Value {
  try {
    return parse(text);
  } catch (cause) {
    if (cause instanceof ValueError) throw wrong(`${key}=${text}: ${cause.message}`);
    throw cause;
  }
}

const wrong = (why: string): Error => invalidEnvironment("invalid environment variables", `CNI_ARGS: ${why}`);
