/** Clients in the middle of connecting: the kernel has answered them and waits for their confirmation. */
import type { SockDiag } from "../kernel/sock-diag.ts";
import type { PortMap } from "./port-map.ts";

/** Whether somebody is connecting to one of these ports. */
export function isSomebodyConnecting(diag: SockDiag, ports: PortMap): boolean {
  let count = 0;
  const visit = ({ port }: { port: number }): void => {
    if (ports.has(port)) count++;
  };
  diag.dumpHandshakes(false, visit);
  diag.dumpHandshakes(true, visit);
  return count > 0;
}
