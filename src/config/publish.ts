/**
 * Published ports as container engines write them, `[ADDR:]PORT:PORT[/tcp|/udp]`, where the first port is the host's
 * and both may be ranges of one length.
 */
import { usage } from "./command-line.ts";
import type { PortOption } from "./port-spec.ts";

const PUBLISH =
  /^(?:(?<address>\[[^\]]*\]|[^:]*):)?(?<host>\d*(?:-\d+)?):(?<inside>\d+(?:-\d+)?)(?:\/(?<protocol>[a-z]+))?$/i;
const OPTIONS: ReadonlyMap<string, PortOption> = new Map([
  ["tcp", "-t"],
  ["udp", "-u"],
]);

/** The same as a specification of ports (port-spec.ts), and the option that it is for. Throws USAGE. */
export function portSpecOf(text: string): { option: PortOption; spec: string } {
  const groups = PUBLISH.exec(text)?.groups;
  if (groups === undefined) {
    throw wrong(text, "write the host's port and the container's, such as 8080:80, 127.0.0.1:5300:53/udp");
  }
  const { address = "", host, inside, protocol = "tcp" } = groups;
  if (host === "") throw wrong(text, "name the port of the host too, no port is chosen for you");
  const option = OPTIONS.get(protocol.toLowerCase());
  if (option === undefined) throw wrong(text, "only tcp and udp can be forwarded");
  return { option, spec: `${address === "" ? "" : `${address}/`}${host}:${inside}` };
}

const wrong = (text: string, why: string): Error => usage(`--publish ${text}: ${why}`);
