/** The user that an engine is to be. */
import { AppError } from "../base/errors.ts";
import type { Identity } from "../config/options.ts";
import { hasCapability, IDENTITY_CAPABILITIES } from "../kernel/caps.ts";
import { isInInitialUserNamespace } from "../kernel/user-namespace.ts";
import { findUser } from "./accounts.ts";

/** Who the engines of the machine's root are, where there is such an account. */
const ACCOUNT = "bucatini";
/** Who they are elsewhere: nobody on every system. */
const NOBODY: Identity = { uid: 65_534, gid: 65_534 };

/**
 * Who the engine that this process starts is to become; undefined: it stays who we are. Root of the machine gives its
 * power away, unless it lacks even the power to do that; others change only when they are asked to. Throws USAGE.
 */
export function engineIdentity(asked: Identity | undefined): Identity | undefined {
  const uid = process.geteuid!();
  const mayChange = uid === 0 && IDENTITY_CAPABILITIES.every(hasCapability);
  if (asked === undefined) {
    return mayChange && isInInitialUserNamespace() ? (findUser(ACCOUNT) ?? NOBODY) : undefined;
  }
  if (asked.uid === uid && asked.gid === process.getegid!()) return undefined;
  if (mayChange) return asked;
  throw new AppError(
    "USAGE",
    `cannot run the engine as uid ${asked.uid}: only root may become somebody else, with CAP_SETUID and CAP_SETGID; ` +
      "leave --runas away",
  );
}
