/**
 * What the broker and its clients have in common. A plugin that a rootless engine calls may live in an inner network
 * namespace, from which nobody gets back to the host's: there it asks the broker, a service of the same user outside,
 * to start the engine (docs/broker.md).
 */
import { closeSync, openSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { type NamespaceId, openOwner } from "../kernel/namespace.ts";
import { isInInitialUserNamespace } from "../kernel/user-namespace.ts";
import type { LaunchRequest } from "./launch.ts";
import { runtimeDirectories } from "./state-directory.ts";

const SOCKET_NAME = "bucatini-broker.sock";

/** The first line, which the broker says unasked. */
export interface BrokerGreeting {
  version: string;
  /** The network namespace that it starts engines in. */
  netns: NamespaceId;
}

/**
 * The second line: what to start, by the client. Descriptors are the client's own, and stay open until the answer, which
 * is the third line: what `launchEngine` gives, or `{ "error": ... }`.
 */
export interface BrokerRequest {
  version: string;
  /** The container's network namespace. */
  netns: { fd: number; id: NamespaceId; path: string };
  /** One pidfd for each process to watch; numbers may mean others outside. */
  processes: number[];
  /** The directory of the path to watch, which may be a mount that nobody sees outside. */
  directory?: number;
  request: LaunchRequest;
}

/** Where the broker of this user listens; undefined without a directory that is the same inside and outside. */
export function brokerSocket(): string | undefined {
  const [directory] = runtimeDirectories();
  return directory === undefined ? undefined : join(directory, SOCKET_NAME);
}

/** Tells whether somebody listens at the path of a socket. */
export function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.on("connect", () => end(true));
    socket.on("error", () => end(false));
  });
}

/** Tells whether our network namespace was made inside our user namespace, so that it is not the machine's. */
export function isInInnerNetwork(): boolean {
  if (isInInitialUserNamespace()) return false;
  const own = openSync("/proc/self/ns/net", "r");
  const owner = openOwner(own);
  closeSync(own);
  if (owner !== undefined) closeSync(owner);
  return owner !== undefined;
}
