// A signal that comes just before the command takes over from the launcher.
import { endOnSignals, forwardSignals } from "../../../src/commands/signals.ts";
import { Cleanup } from "../../../src/runtime/cleanup.ts";

process.stdin.resume().on("end", () => process.exit(0));
const stopListening = endOnSignals(new Cleanup());
setImmediate(() => {
  process.kill(process.pid, "SIGTERM");
  stopListening();
  forwardSignals((signal) => console.log(signal));
  setTimeout(() => console.log("lost"), 1000);
});
