/**
 * Sockets that whoever started us has opened for us, as systemd does for a socket unit (sd_listen_fds(3)): listeners on
 * ports below 1024, say, or ones that stay open while the container restarts.
 */
import type { HandedInSocket, WatchOptions } from "../config/options.ts";

/** The first of their descriptors. @see SD_LISTEN_FDS_START in sd_listen_fds(3) */
const FIRST = 3;
/** What sd_listen_fds_with_names(3) calls a descriptor without a name. */
const UNNAMED = "unknown";

/** The sockets meant for this process; none when the variables are for another one, or mean nothing. */
export function handedInSockets(
  environment: NodeJS.ProcessEnv = process.env,
  pid: number = process.pid,
): HandedInSocket[] {
  const { LISTEN_PID, LISTEN_FDS = "", LISTEN_FDNAMES } = environment;
  if (LISTEN_PID !== String(pid) || !/^[1-9]\d{0,4}$/.test(LISTEN_FDS)) return [];
  const names = LISTEN_FDNAMES?.split(":") ?? [];
  const sockets = Array.from({ length: Number(LISTEN_FDS) }, (_, i) => ({ name: names[i] || UNNAMED }));
  return numbered(sockets, FIRST);
}

/** What is handed on to another process beside what every engine gets. */
export interface HandedOn {
  listeners: HandedInSocket[];
  watch: WatchOptions;
}

/** Our descriptors, for the end of a child's stdio, and the same things with the numbers that they have there. */
export function handOn({ listeners, watch }: HandedOn, first: number): HandedOn & { fds: number[] } {
  const fds = listeners.map(({ fd }) => fd);
  const there = { listeners: numbered(listeners, first), watch };
  if (watch.directory === undefined) return { ...there, fds };
  const directory = first + fds.length;
  return { ...there, watch: { ...watch, directory }, fds: [...fds, watch.directory] };
}

/** The same sockets with descriptors from `first` on, as another process sees them. */
const numbered = (sockets: readonly Pick<HandedInSocket, "name">[], first: number): HandedInSocket[] =>
  sockets.map(({ name }, i) => ({ fd: first + i, name }));
