/**
 * Keeps the connection true while the host changes. Whatever happened, all of it is worked out again from what there
 * is now, so that a lost event can never leave a wrong state behind.
 */
import { isUnspecified, parseIp, sameIp } from "../base/address.ts";
import { SysError } from "../base/errors.ts";
import type { Route } from "../base/network.ts";
import { connectionOf } from "../config/connection.ts";
import { chooseTemplate, type Template } from "../config/host-template.ts";
import { mtuInForce } from "../config/network-plan.ts";
import type { EngineOptions } from "../config/options.ts";
import { areSameRoutes } from "../config/reconcile.ts";
import { AF_NETLINK, EPOLLIN, NETLINK_ROUTE, SOCK_RAW } from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { Pif } from "../flow/state.ts";
import { sidePif, SideWord, wordsOf } from "../flow/table.ts";
import type { FamilyRules } from "../forward/address-rules.ts";
import { readHostNetwork } from "../follow/host-network.ts";
import { Monitor } from "../follow/monitor.ts";
import { Reconciler } from "../follow/reconciler.ts";
import { ResolvConfWatch } from "../follow/resolv-conf.ts";
import { Netlink } from "../kernel/netlink.ts";
import { changeLink, DumpCache, dumpLinks } from "../kernel/rtnetlink.ts";
import { setCarrier } from "../kernel/tap.ts";
import { armTimer, openTimer, takeExpirations } from "../kernel/timer.ts";
import type { Log } from "../log/logger.ts";
import { RateLimit } from "../log/rate-limit.ts";
import { updateNet } from "./addresses.ts";
import type { Engine } from "./engine.ts";
import type { Inside } from "./inside.ts";
import { EventKind, FollowEvent } from "./loop.ts";

/** What happens together is mostly over by then: an address, its routes, the default route. */
const DEBOUNCE_MS = 5;
/** After a look, so many times as long as it took without another one: at most a tenth of a processor's time. */
const REST = 9;
/** When it is tried again what could not be done. */
const RETRY_MS = 5_000;
/** How often addresses that wait for their last connection are looked at. */
const RETIRE_MS = 1_000;

export interface FollowerOptions {
  /** What holds at the moment; `plan`, `rules`, `advertise` and `interface` are kept up to date. */
  readonly options: EngineOptions;
  readonly engine: Engine;
  /** TUN_F_* bits that the TAP has. */
  readonly offloads: number;
  readonly inside: Inside;
  readonly log: Log;
}

export class Follower {
  readonly #options: EngineOptions;
  readonly #engine: Engine;
  readonly #offloads: number;
  readonly #inside: Inside;
  readonly #log: Log;
  readonly #containerNetlink: Netlink;
  readonly #timer = openTimer();
  /** What tells of changes, by FollowEvent. */
  readonly #monitors = new Map<number, Monitor>();
  /** Undefined where programs inside configure the link. */
  #reconciler: Reconciler | undefined;
  readonly #resolvConf: ResolvConfWatch;
  /** When there will be a look, by performance.now(). */
  #dueMs = Infinity;
  #restUntilMs = 0;
  /** The container has to be looked at even when nothing of the host has changed. */
  #isContainerStale = true;
  readonly #hostRoutes = new DumpCache<Route>();
  /** What the last look came to, as text, and its routes. */
  #last = "";
  #lastRoutes: readonly Route[] = [];
  /** A host's network can change many times a second. */
  readonly #logLimit = new RateLimit(30);
  /** Why the last look was in vain, or empty. */
  #failure = "";
  /** Whether the container's interface has its name for good. */
  #isNamed: boolean;

  constructor({ options, engine, offloads, inside, log }: FollowerOptions) {
    this.#options = options;
    this.#engine = engine;
    this.#offloads = offloads;
    this.#inside = inside;
    this.#log = log;
    this.#containerNetlink = new Netlink(options.fds.containerNetlink, options.fds.guard);
    this.#resolvConf = new ResolvConfWatch(log);
    const { asked, plan } = options;
    const hasTemplate = [plan.ipv4, plan.ipv6].some(({ hostInterface }) => hostInterface !== "");
    this.#isNamed = hasTemplate || asked.network.interfaceName !== undefined;
    check(engine.epoll.add(this.#timer, EPOLLIN, EventKind.Follow, FollowEvent.Timer), "epoll_ctl", "timer");
  }

  /** Hears of changes from now on, and has a first look soon: what has happened since the start counts, too. */
  async start(): Promise<void> {
    const { asked, fds } = this.#options;
    for (const fd of this.#resolvConf.fds) {
      check(
        this.#engine.epoll.add(fd, EPOLLIN, EventKind.Follow, FollowEvent.ResolvConf),
        "epoll_ctl",
        "inotify",
      );
    }
    this.#watch(FollowEvent.Host, "the host's network", () => Netlink.open());
    if (asked.network.configure && fds.tap >= 0) {
      const fd = await this.#inside.open(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
      this.#watch(FollowEvent.Container, "the container's network", () => Netlink.bind(check(fd, "socket")));
      this.#reconciler = this.#newReconciler();
    }
    this.#schedule();
  }

  /** For events of kind Follow. */
  event(event: number): void {
    const monitor = this.#monitors.get(event);
    if (monitor !== undefined) {
      // It is heard again when all that has come until then has been looked at.
      this.#engine.epoll.remove(monitor.fd);
      if (event === FollowEvent.Container) this.#isContainerStale = true;
    } else if (event === FollowEvent.ResolvConf) {
      if (!this.#resolvConf.hasChanged()) return;
    } else if (event === FollowEvent.Timer) {
      takeExpirations(this.#timer);
      this.#dueMs = Infinity;
      this.#look();
      return;
    }
    this.#schedule();
  }

  #newReconciler(): Reconciler {
    const { interface: link, plan } = this.#options;
    return new Reconciler({
      netlink: this.#containerNetlink,
      interfaceIndex: link.index,
      linkLocal: link.linkLocal,
      added: [...plan.ipv4.addresses, ...plan.ipv6.addresses],
      isInUse: (address) => this.#isInUse(address),
      wasDown: () => this.#monitors.get(FollowEvent.Container)?.wasDown(link.index) ?? false,
    });
  }

  /** Whoever cannot be heard is done without. */
  #watch(event: number, what: string, open: () => Netlink): void {
    try {
      const monitor = new Monitor(open());
      check(this.#engine.epoll.add(monitor.fd, EPOLLIN, EventKind.Follow, event), "epoll_ctl", "netlink");
      this.#monitors.set(event, monitor);
      for (const sentence of monitor.missing) this.#log.warn(`${what}: ${sentence}`);
    } catch (cause) {
      if (!(cause instanceof SysError)) throw cause;
      this.#log.warn(`${what} is not followed: ${cause.message}`);
    }
  }

  #schedule(afterMs = DEBOUNCE_MS): void {
    const nowMs = performance.now();
    const dueMs = Math.max(nowMs + afterMs, this.#restUntilMs);
    if (dueMs >= this.#dueMs) return;
    this.#dueMs = dueMs;
    armTimer(this.#timer, dueMs - nowMs);
  }

  #look(): void {
    const before = process.cpuUsage();
    try {
      this.#hearAgain();
      this.#noteFailure(this.#resync(performance.now()));
    } catch (cause) {
      if (!(cause instanceof SysError)) throw cause;
      this.#noteFailure(cause.message);
    }
    this.#engine.ports.hostChanged();
    // Waiting for a guard (runtime/guard.ts) takes no processor.
    const { user, system } = process.cpuUsage(before);
    this.#restUntilMs = performance.now() + (REST * (user + system)) / 1_000;
    if (this.#failure !== "") this.#schedule(RETRY_MS);
    if (this.#reconciler?.isRetiring === true) {
      this.#isContainerStale = true;
      this.#schedule(RETIRE_MS);
    }
  }

  /** @param failure empty when there is none any more */
  #noteFailure(failure: string): void {
    if (failure !== "" && failure !== this.#failure) {
      this.#log.warn(`the container is not up to date: ${failure}`);
    }
    if (failure !== "") this.#isContainerStale = true;
    this.#failure = failure;
  }

  /** What comes from now on wakes us again; what has come is about to be seen. */
  #hearAgain(): void {
    const { epoll } = this.#engine;
    for (const [event, monitor] of this.#monitors) {
      try {
        if (event === FollowEvent.Host) monitor.discard();
        epoll.add(monitor.fd, EPOLLIN, EventKind.Follow, event);
      } catch (cause) {
        if (!(cause instanceof SysError)) throw cause;
        this.#monitors.delete(event);
        this.#log.warn(`changes are not heard of any more: ${cause.message}`);
      }
    }
  }

  /** Looks at host and container and applies the difference; tells what could not be done, or nothing. */
  #resync(nowMs: number): string {
    const { asked } = this.#options;
    const host = readHostNetwork(this.#engine.netlink, this.#hostRoutes);
    const template = chooseTemplate(host, asked.network);
    const connection = connectionOf(template, this.#resolvConf.current, asked);
    const { plan } = connection;
    const text = JSON.stringify(connection, (key, value: unknown) => (key === "routes" ? undefined : value));
    const routes = [...plan.ipv4.routes, ...plan.ipv6.routes];
    const isNews = text !== this.#last || !areSameRoutes(routes, this.#lastRoutes);
    if (!isNews && !this.#isContainerStale) {
      this.#engine.stack.hostChanged();
      return "";
    }
    if (isNews) this.#last = text;
    if (isNews) this.#lastRoutes = routes;
    this.#isContainerStale = false;
    this.#rename(template);
    const result = this.#reconciler?.reconcile(plan, nowMs);
    plan.ipv6.enabled &&= result?.ipv6 ?? true;
    this.#update(connection, result?.removed ?? []);
    if (isNews && this.#logLimit.allow(nowMs)) {
      const { suppressed } = this.#logLimit;
      for (const sentence of result?.warnings ?? []) this.#log.warn(sentence);
      this.#log.info("the connection follows the host", {
        ...describe(plan),
        ...(suppressed > 0 && { suppressed }),
      });
    }
    return result?.failures[0] ?? "";
  }

  /** Engine and protocols work with what holds now. */
  #update(connection: ReturnType<typeof connectionOf>, removed: readonly string[]): void {
    const { net, stack, host } = this.#engine;
    const { fds, plan } = this.#options;
    const { carrier } = connection.plan;
    if (fds.tap >= 0 && carrier !== plan.carrier) setCarrier(fds.tap, carrier);
    Object.assign(this.#options, connection);
    this.#options.interface.mtu = mtuInForce(connection.plan);
    const before = { ...net.link };
    updateNet(net, this.#options, this.#offloads);
    host.scope = connection.plan.ipv6.hostInterfaceIndex;
    for (const family of [net.rules.v4, net.rules.v6]) forget(family, removed);
    stack.networkChanged(before);
  }

  /** A container that started without a template gets its interface's name with the first one, and keeps it. */
  #rename({ ipv4, ipv6 }: Template): void {
    const { interface: link } = this.#options;
    const name = (ipv4 ?? ipv6)?.link.name;
    if (name === undefined || this.#isNamed || this.#reconciler === undefined) return;
    this.#isNamed = true;
    const now = dumpLinks(this.#containerNetlink).find(({ index }) => index === link.index)?.name;
    // Somebody inside has given it another one.
    if (now !== link.name || now === name) return;
    try {
      changeLink(this.#containerNetlink, link.index, { name });
      link.name = name;
    } catch (cause) {
      if (!(cause instanceof SysError)) throw cause;
      this.#log.warn(`the container's interface stays ${link.name}, not ${name}: ${cause.message}`);
    }
  }

  /** Whether a flow has this address of the container. */
  #isInUse(text: string): boolean {
    const address = parseIp(text);
    const { flows } = this.#engine.net;
    let found = false;
    if (address === undefined) return found;
    flows.forEach((flow) => {
      for (const side of [2 * flow, 2 * flow + 1]) {
        const words = wordsOf(side);
        if (sidePif(flows.sides, words) !== Pif.Tap) continue;
        if (sameIp(flows.sides, words + SideWord.Endpoint, address, 0)) found = true;
      }
    });
    return found;
  }
}

/** What we took away, the container is not heard from any more; where nothing was heard, the first address counts. */
function forget({ seen, assigned }: FamilyRules, removed: readonly string[]): void {
  for (const text of removed) {
    const address = parseIp(text);
    if (address !== undefined && sameIp(seen, 0, address, 0)) seen.fill(0);
  }
  if (isUnspecified(seen) && assigned.length > 0) seen.set(assigned[0]);
}

/** For the log. */
function describe({ mtu, ipv4, ipv6 }: EngineOptions["plan"]): Record<string, unknown> {
  const family = ({ hostInterface, choice, addresses, gateway }: typeof ipv4): Record<string, unknown> => ({
    template: hostInterface,
    choice,
    addresses: addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    gateway,
  });
  return { mtu, ipv4: family(ipv4), ipv6: family(ipv6) };
}
