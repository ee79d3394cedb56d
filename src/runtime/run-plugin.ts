/** Starts another CNI plugin, as a container runtime would. */
import { spawn } from "node:child_process";
import { AppError, errorCode } from "../base/errors.ts";

/** How a plugin ended. */
export interface PluginEnd {
  /** Null when a signal ended it. */
  status: number | null;
  stdout: string;
}

export interface RunningPlugin {
  /** Rejects with AppError NO_TOOL when it cannot be started. */
  ended: Promise<PluginEnd>;
  /** Asks it to end, and waits until it has, whatever it has started may do. */
  stop(): Promise<void>;
}

/**
 * What it says to people goes to our stderr.
 * @param command CNI_COMMAND; everything else in the environment is ours
 * @param input its stdin
 */
export function startPlugin(path: string, command: string, input: string): RunningPlugin {
  const child = spawn(path, {
    env: { ...process.env, CNI_COMMAND: command },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<PluginEnd>((resolve, reject) => {
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk;
    });
    child.on("error", (cause) =>
      reject(new AppError("NO_TOOL", `cannot start the plugin ${path}: ${errorCode(cause)}`, { cause })),
    );
    child.on("close", (status) => resolve({ status, stdout }));
  });
  // One that ends before it has read its input says why in its own way.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  return {
    ended,
    stop: () =>
      new Promise((resolve) => {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) resolve();
        else child.once("exit", () => resolve()).kill();
      }),
  };
}
