/** `bucatini broker`: starts engines outside for plugins that are called inside. */
import { chmodSync, rmSync } from "node:fs";
import type { ListenOptions } from "node:net";
import { AppError, errorCode } from "../base/errors.ts";
import { type ParsedArguments, takeNoArguments, usage } from "../config/command-line.ts";
import { keepDescriptorsFromPrograms } from "../kernel/close-on-exec.ts";
import { brokerSocket, listens } from "../runtime/broker.ts";
import { createBroker } from "../runtime/broker-server.ts";
import { handedInSockets } from "../runtime/handed-in.ts";
import { hasSysAdmin } from "../runtime/process-info.ts";
import { tell } from "./output.ts";

/** Ends with a signal. Throws USAGE, BUSY or STATE_DIR. */
export async function broker({ rest }: ParsedArguments): Promise<number> {
  takeNoArguments("broker", rest);
  if (hasSysAdmin()) {
    throw usage("the broker is for users without privilege; plugins that root calls are outside already");
  }
  keepDescriptorsFromPrograms();
  const [given] = handedInSockets();
  const path = brokerSocket();
  if (given === undefined && path === undefined) {
    throw new AppError(
      "STATE_DIR",
      "cannot listen: there is no directory for it; set XDG_RUNTIME_DIR to a directory of your own",
    );
  }
  if (given === undefined) await makeWay(path!);
  const server = createBroker(tell);
  await new Promise<void>((resolve, reject) => {
    const where: ListenOptions & { fd?: number } = given === undefined ? { path: path! } : { fd: given.fd };
    server.once("error", (cause) => reject(cannotListen(path, cause)));
    server.listen(where, resolve);
  });
  if (given === undefined) chmodSync(path!, 0o600);
  tell(`the broker listens at ${given === undefined ? path : "the socket that it was given"}`);
  // Engines go on without us.
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) {
      process.on(signal, () => {
        server.close();
        resolve(0);
      });
    }
  });
}

const cannotListen = (path: string | undefined, cause: unknown): AppError =>
  new AppError("STATE_DIR", `cannot listen at ${path}: ${errorCode(cause)}; check that directory`, { cause });

/** Removes the socket of a broker that has been killed. Throws BUSY when one answers. */
async function makeWay(path: string): Promise<void> {
  if (await listens(path))
    throw new AppError("BUSY", `a broker listens at ${path} already; end that one first`);
  rmSync(path, { force: true });
}
