/** The beginning of shell scripts that use the product. */
import type { Stage } from "./stage.ts";

/** Shell functions for the scripts below. `B` is the executable. */
export const prelude = (stage: Stage): string => `
  B=${stage.bucatini}
  T=
  # A script that fails leaves no process behind that would keep its output open.
  trap '[ -z "$T" ] || kill $T 2>/dev/null || true' EXIT
  # A process in a network namespace of its own: its number is in T.
  target() { unshare -Urn sleep 1000 >/dev/null 2>&1 & T=$!; until [ "$(readlink /proc/$T/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done; }
  engine() { $B status --json "$@" | sed -n 's/^  "pid": \\([0-9]*\\),/\\1/p'; }
  # Waits up to a second for a process to end; one that nobody has reaped yet has ended.
  gone() { for i in $(seq 50); do grep -qs '^State:.[^ZX]' /proc/$1/status || return 0; sleep 0.02; done; echo "process $1 is still there"; return 1; }
  `;
