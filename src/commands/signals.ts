/** How commands react to signals. */
import { constants } from "node:os";
import { inForeground } from "../kernel/terminal.ts";
import type { Cleanup } from "../runtime/cleanup.ts";

const ENDING: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/** As shells say it. */
const statusOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];

/**
 * Until the returned function is called, a signal that asks us to end undoes what was made and ends with
 * 128 + signal, or what `endStatus` says. From then on it is too late for one: what is done will be told.
 */
export function endOnSignals(cleanup: Cleanup, endStatus = statusOf): () => void {
  const end = (signal: NodeJS.Signals): void => {
    const status = endStatus(signal);
    // What was waited for may end because of the clean-up, and end the command in its own way.
    process.once("exit", () => (process.exitCode = status));
    void cleanup.run().finally(() => process.exit(status));
  };
  for (const name of ENDING) process.on(name, end);
  return () => {
    // Without a listener for a moment, Node.js would lose a signal that has come already.
    for (const name of ENDING) process.on(name, () => {}).off(name, end);
  };
}

const FORWARDED: readonly NodeJS.Signals[] = [
  "SIGTERM",
  "SIGHUP",
  "SIGUSR1",
  "SIGUSR2",
  "SIGCONT",
  "SIGWINCH",
];
/** What a terminal sends to everybody in its foreground, the command included. */
const FROM_TERMINAL: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];

/** Passes the signals that we get on to a command. */
export function forwardSignals(send: (name: NodeJS.Signals) => void): void {
  for (const name of FORWARDED) process.on(name, () => send(name));
  for (const name of FROM_TERMINAL) {
    process.on(name, () => {
      if (!inForeground()) send(name);
    });
  }
}
