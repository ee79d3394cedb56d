/** What the plugins before us, or all plugins on CHECK, have made. */
import { isEmpty, type CniConfig } from "../config/cni-config.ts";
import { parseResult } from "./parse-result.ts";
import type { CniResult } from "./result.ts";
import type { CniVersion } from "./versions.ts";

/** Undefined when there is none. Throws ConfigError. */
export const previousResult = ({ prevResult }: CniConfig, version: CniVersion): CniResult | undefined =>
  isEmpty(prevResult) ? undefined : parseResult({ pointer: "/prevResult", value: prevResult }, version);
