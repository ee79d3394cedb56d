/** How commands react to signals. */
import { constants } from "node:os";
import { inForeground } from "../kernel/terminal.ts";
import type { Cleanup } from "../runtime/cleanup.ts";

const ENDING: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/** As shells say it. */
const statusOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];

/**
 * Until the returned function is called, a signal that asks us to end undoes what was made and ends with
 * 128 + signal, or what `endStatus` says.
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
    for (const name of ENDING) process.off(name, end);
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

/**
 * Passes the signals that we get on to a command.
 * @param stopListening what `endOnSignals` gave: called here, because Node.js loses a signal that has come already when
 * nobody listens for a moment
 */
export function forwardSignals(send: (name: NodeJS.Signals) => void, stopListening: () => void): void {
  for (const name of FORWARDED) process.on(name, () => send(name));
  for (const name of FROM_TERMINAL) {
    process.on(name, () => {
      if (!inForeground()) send(name);
    });
  }
  stopListening();
}
