/** What `bucatini status` shows of an engine. */
import { formatIp } from "../base/address.ts";
import type { Bandwidth, EngineOptions, LogLevel, Service } from "../config/options.ts";
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
  logLevel: LogLevel;
  /** What is switched off; absent: nothing. */
  without?: Service[];
  bandwidth?: Bandwidth;
  /** The file that gets all frames. */
  captureFile?: string;
  /** Rules of port forwarding, and ports that are open for them. */
  ports: { rules: number; open: number };
  /** Flows by type; `total` counts rows that are not free. */
  flows: Record<string, number>;
  /** Counters that are not zero. */
  counters: Record<string, number>;
}

export function statusOf(options: EngineOptions, engine: Engine, offloads: number): EngineStatus {
  const { net } = engine;
  const { bandwidth, captureFile, without } = options;
  const rules = engine.ports.show();
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
    logLevel: options.logLevel,
    ...(without.length > 0 && { without }),
    ...(bandwidth !== undefined && { bandwidth }),
    ...(captureFile !== undefined && { captureFile }),
    ports: { rules: rules.length, open: rules.reduce((sum, { open }) => sum + open, 0) },
    flows,
    counters: net.counters.snapshot(),
  };
}
