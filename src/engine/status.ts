/** What `bucatini status` shows of an engine. */
import { formatIp } from "../base/address.ts";
import type { EngineOptions } from "../config/options.ts";
import { VERSION } from "../config/generated/version.ts";
import { FLOW_TYPE_NAMES } from "../flow/state.ts";
import type { Engine } from "./engine.ts";

export interface EngineStatus {
  id: string;
  version: string;
  pid: number;
  uptimeSeconds: number;
  interface: string;
  mtu: number;
  addresses: string[];
  /** TUN_F_* bits in force; 0 means that checksums and segmentation are done in the engine. */
  offloads: number;
  /** Flows by type; `total` counts rows that are not free. */
  flows: Record<string, number>;
  /** Counters that are not zero. */
  counters: Record<string, number>;
}

export function statusOf(options: EngineOptions, engine: Engine, offloads: number): EngineStatus {
  const { net } = engine;
  const flows: Record<string, number> = { total: net.flows.active };
  net.flows.forEach((flow) => {
    const name = FLOW_TYPE_NAMES[net.flows.type[flow]];
    flows[name] = (flows[name] ?? 0) + 1;
  });
  const assigned = [...net.link.v4.assigned, ...net.link.v6.assigned];
  return {
    id: options.id,
    version: VERSION,
    pid: process.pid,
    uptimeSeconds: Math.floor(process.uptime()),
    interface: options.interface.name,
    mtu: net.link.mtu,
    addresses: assigned.map((address) => formatIp(address)),
    offloads,
    flows,
    counters: net.counters.snapshot(),
  };
}
