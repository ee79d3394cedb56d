// Who talks to whom through the subject, and at which address the client finds the server.
import { ADDRESSES, type Namespace } from "./namespaces.ts";
import type { Subject } from "./subjects.ts";

/**
 * From the container to the peer; from the peer into the container; from the host's loopback into the container;
 * from the container's loopback to the host's.
 */
export type Path = "out" | "in" | "loopback-in" | "loopback-out";

/** Two programs that talk to each other. */
export interface Ends {
  readonly client: Namespace;
  readonly server: Namespace;
  /** Where the client connects to. */
  readonly address: string;
  /** What the server is bound to. */
  readonly bind: string;
}

const LOOPBACK = { 4: "127.0.0.1", 6: "::1" } as const;
const ANY = { 4: "0.0.0.0", 6: "::" } as const;

/** Where "direct" has one loopback only, client and server share the namespace of the client. */
export function endsOf(
  path: Path,
  subject: Subject,
  namespaces: { readonly outside: Namespace; readonly container: Namespace; readonly peer: Namespace },
  family: 4 | 6,
): Ends {
  const { outside, container, peer } = namespaces;
  const isDirect = subject === "direct";
  const any = { bind: ANY[family] };
  const loopback = { ...any, address: LOOPBACK[family] };
  const server = ADDRESSES.server[family];
  const own = (isDirect ? ADDRESSES.direct : ADDRESSES.outside)[family];
  const ends: Record<Path, Ends> = {
    // Bound to the address that clients use: answers to UDP would else leave with that of another interface.
    out: { client: container, server: peer, address: server, bind: server },
    in: { ...any, client: peer, server: container, address: own },
    "loopback-in": { ...loopback, client: outside, server: isDirect ? outside : container },
    "loopback-out": { ...loopback, client: container, server: isDirect ? container : outside },
  };
  return ends[path];
}
