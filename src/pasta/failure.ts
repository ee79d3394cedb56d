/** How pasta says what went wrong, where callers and people know its words. */
import type { AppError } from "../base/errors.ts";

/** The words of strerror(3). */
const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "Address already in use",
  EACCES: "Permission denied",
  EPERM: "Operation not permitted",
  EADDRNOTAVAIL: "Cannot assign requested address",
  ENODEV: "No such device",
  EMFILE: "Too many open files",
  ENFILE: "Too many open files in system",
};

/** One sentence for each line. */
export function failureLines({ details = {}, message }: AppError): string[] {
  const { side, protocol, address, port, errno } = details;
  if (typeof protocol !== "string" || typeof port !== "number" || typeof errno !== "string") return [message];
  const pif = side === "host" ? "HOST" : "SPLICE";
  const where = `${pif} ${protocol.toUpperCase()} port ${typeof address === "string" ? address : "*"}/${port}`;
  return [
    `Listen failed for ${where}: ${REASONS[errno] ?? errno}`,
    `Couldn't listen on requested ports: ${message}`,
  ];
}
