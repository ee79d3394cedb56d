/**
 * Keeps the connection true while the host changes. Whatever happened, all of it is worked out again from what there
 * is now, so that a lost event can never leave a wrong state behind.
 */
import { connectionOf } from "../config/connection.ts";
import { chooseTemplate } from "../config/host-template.ts";
import type { EngineOptions } from "../config/options.ts";
import type { ResolvConf } from "../config/resolv-conf.ts";
import { readHostNetwork } from "../follow/host-network.ts";
import { Netlink } from "../kernel/netlink.ts";
import { updateNet } from "./addresses.ts";
import type { Engine } from "./engine.ts";

export class Follower {
  /** What holds at the moment; `plan`, `rules` and `advertise` are replaced. */
  readonly #options: EngineOptions;
  readonly #engine: Engine;
  readonly #offloads: number;
  readonly #hostNetlink: Netlink;
  #resolvConf: ResolvConf;

  constructor(options: EngineOptions, engine: Engine, offloads: number, resolvConf: ResolvConf) {
    this.#options = options;
    this.#engine = engine;
    this.#offloads = offloads;
    this.#resolvConf = resolvConf;
    this.#hostNetlink = new Netlink(options.fds.hostNetlink);
  }

  /** The host's resolv.conf says something else now. */
  setResolvConf(resolvConf: ResolvConf): void {
    this.#resolvConf = resolvConf;
    this.resync();
  }

  /** Looks at the host and applies the difference. */
  resync(): void {
    const { asked } = this.#options;
    const template = chooseTemplate(readHostNetwork(this.#hostNetlink), asked.network);
    Object.assign(this.#options, connectionOf(template, this.#resolvConf, asked));
    const { net, stack } = this.#engine;
    const before = { ...net.link };
    updateNet(net, this.#options, this.#offloads);
    stack.networkChanged(before);
  }
}
