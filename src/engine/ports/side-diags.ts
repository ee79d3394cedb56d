/** What lists the sockets of the host and of the container, each opened when it is wanted for the first time. */
import { AF_NETLINK, NETLINK_SOCK_DIAG, SOCK_RAW } from "../../ffi/constants.ts";
import { check } from "../../ffi/errno.ts";
import { Pif } from "../../flow/state.ts";
import { SockDiag } from "../../kernel/sock-diag.ts";
import type { Inside } from "../inside.ts";

export class SideDiags {
  readonly #inside: Inside;
  #host: SockDiag | undefined;
  #container: SockDiag | undefined;

  constructor(inside: Inside) {
    this.#inside = inside;
  }

  /** @param pif Pif.Host or Pif.Splice. Throws SysError. */
  async of(pif: Pif): Promise<SockDiag> {
    if (pif === Pif.Host) return (this.#host ??= SockDiag.open());
    if (this.#container !== undefined) return this.#container;
    const fd = await this.#inside.open(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
    return (this.#container = new SockDiag(check(fd, "socket", "sock_diag in the container")));
  }
}
