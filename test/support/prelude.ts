/** The beginning of shell scripts that use the product. */
import type { Stage } from "./stage.ts";

/** Waits up to a second for a process to end, with all its threads; one that nobody has reaped yet has ended. */
export const GONE = `
  gone() {
    for i in $(seq 50); do
      [ "$(sed -n 's/^\\(State\\|Threads\\):.\\([^ ]*\\).*/\\2/p' /proc/$1/status 2>/dev/null | tr -d '\\n')" = Z1 ] && return 0
      [ -e /proc/$1 ] || return 0
      sleep 0.02
    done
    echo "process $1 is still there"
    return 1
  }`;

/** Shell functions for the scripts below. `B` is the executable. */
export const prelude = (stage: Stage): string => `
  B=${stage.bucatini}
  T=
  # A script that fails leaves no process behind that would keep its output open.
  trap '[ -z "$T" ] || kill $T 2>/dev/null || true' EXIT
  # A process in a network namespace of its own: its number is in T.
  target() { unshare -Urn sleep 1000 >/dev/null 2>&1 & T=$!; until [ "$(readlink /proc/$T/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done; }
  engine() { $B status --json "$@" | sed -n 's/^  "pid": \\([0-9]*\\),/\\1/p'; }
${GONE}
  `;
