/**
 * The forwarded ports of one container: its rules, and a listening socket for each port of theirs. Changes are made
 * one after the other; each is checked whole and opened whole before anything of it is in force.
 */
import { AppError } from "../../base/errors.ts";
import type { PortAction, PortRuleStatus } from "../../config/control-types.ts";
import type { PortOptions, PortRuleOptions, Service } from "../../config/options.ts";
import { EPOLLIN } from "../../ffi/constants.ts";
import { check } from "../../ffi/errno.ts";
import { close } from "../../ffi/libc.ts";
import { Pif } from "../../flow/state.ts";
import type { ListenerSlot } from "../../forward/listeners.ts";
import type { PortRule } from "../../forward/port-rule.ts";
import { checkLoops } from "../../forward/port-rules.ts";
import { openInterval, takeExpirations } from "../../kernel/timer.ts";
import type { Log } from "../../log/logger.ts";
import { RateLimit } from "../../log/rate-limit.ts";
import { ListenerCloser } from "./listener-closer.ts";
import { ListenSockets, type ListenSocketsOptions } from "./listen-sockets.ts";
import { EventKind } from "../loop.ts";
import { type Pause, PortChange, SLICE } from "./change.ts";
import { listenerLimit, reserveDescriptors } from "./descriptors.ts";
import { describeFailures, portError } from "./errors.ts";
import { changeRules, inOrder, isRetried, type PortRuleState, stateOf } from "./rule-states.ts";
import { PortScan } from "./scan.ts";
import { SideDiags } from "./side-diags.ts";

export interface PortsOptions extends Omit<ListenSocketsOptions, "freebind"> {
  readonly policy: PortOptions;
  /** Protocols that are not carried, and so have no ports. */
  readonly without: readonly Service[];
  readonly log: Log;
  /** Lets packets have a turn in the middle of long work, once they flow. */
  readonly pause: Pause;
}

/** So that a port appears, and disappears, within a second. */
const SCAN_MS = 750;
/** Index of the timer's events, and of those of the one that ends a sleep. */
const SCAN_TIMER = 0;
const SLEEP_TIMER = 1;
/** So many changes of the host the log names. */
const CHANGES_SHOWN = 10;
export class Ports {
  readonly #options: PortsOptions;
  readonly #sockets: ListenSockets;
  readonly #diags: SideDiags;
  readonly #closer: ListenerCloser;
  #rules: readonly PortRuleState[] = [];
  /** What was asked for last; it ends after all before it. */
  #last: Promise<unknown> = Promise.resolve();
  /** Whether packets flow, so that long work has to let them through. */
  #isRunning = false;
  /** Tells who listens on either side; undefined before the first automatic rule. */
  #scan: PortScan | undefined;
  readonly #warnings = new RateLimit(1);
  /** A host's network can change many times a second. */
  readonly #logLimit = new RateLimit(30);
  /** Whether automatic rules have to be compared with what the last look at listeners has found. */
  #isScanNew = false;
  /** Whether all rules have to be compared with where their sockets are. */
  #isMoved = false;
  /** Whether that is about to be done. */
  #isQueued = false;
  /** Whether it is known how sockets in the container are kept to its loopback. */
  #isProbed = false;
  #timer = -1;

  constructor(options: PortsOptions) {
    this.#options = options;
    this.#sockets = new ListenSockets({
      ...options,
      fdLimit: listenerLimit(options.fdLimit),
      freebind: options.policy.freebind,
    });
    this.#diags = new SideDiags(options.inside);
    this.#closer = new ListenerCloser({
      ...options,
      sockets: this.#sockets,
      timerIndex: SLEEP_TIMER,
      diags: this.#diags,
      pause: () => this.#pause(),
    });
  }

  /** Opens the ports that the engine starts with. Throws AppError or SysError; then the engine cannot start. */
  async start(rules: readonly PortRuleOptions[]): Promise<void> {
    await this.change("set", rules);
    this.#isRunning = true;
    const unused = this.#sockets.describeUnused(this.#rules.map(({ rule }) => rule));
    if (unused.length === 0) return;
    this.#options.log.warn(`no rule wants sockets that were handed in: ${unused.join(", ")}`);
  }

  /**
   * Adds rules, deletes equal ones, or puts them in the place of all. When it fails nothing has changed. Established
   * flows go on. Throws AppError (USAGE, PORT_IN_USE, PORT_FORBIDDEN, PORT_LIMIT) or SysError.
   */
  change(action: PortAction, rules: readonly PortRuleOptions[]): Promise<void> {
    return this.#inTurn(async () => {
      this.hostChanged();
      const { families, policy, without, log } = this.#options;
      const off = rules.find(({ protocol }) => without.includes(protocol))?.protocol.toUpperCase();
      if (off !== undefined) {
        const why = `${off} is switched off for this container`;
        throw new AppError("USAGE", `cannot forward ports of ${off}: ${why}; leave them out`);
      }
      const next = changeRules(this.#rules, action, rules, families);
      if (policy.splice && (policy.hostLoopbackToContainer || policy.spliceOnly)) {
        checkLoops(next.map(({ rule }) => rule));
      }
      await this.#replace(next);
      log.info("ports are forwarded", { action, rules: this.#rules.length });
    });
  }

  /** The rules in force and what has come of them. */
  show(): PortRuleStatus[] {
    return this.#rules.map((state) => {
      const ports = new Set<number>();
      this.#sockets.forEachSlot(state.rule, (_slot, port) => ports.add(port));
      const open = ports.size;
      const last = [...state.failures].at(-1);
      const error = last === undefined ? undefined : portError(state.rule, ...last);
      const waitsFor = open > 0 ? "" : this.#sockets.presence.missing(state.rule);
      return {
        ...state.options,
        state: stateOf(state, open, waitsFor),
        open,
        ...(waitsFor !== "" && { waitsFor }),
        ...(error !== undefined && { error: { code: error.code, port: last![0], message: error.message } }),
      };
    });
  }

  /** To be called when one of our timers has run out. */
  timer(index: number): void {
    if (index === SLEEP_TIMER) {
      this.#closer.wake();
      // Promises go on in Node.
      void this.#options.pause();
    } else if (this.#mustAdapt()) this.#adaptSoon();
  }

  /** To be called when addresses, interfaces or families may have changed: a few calls for each that rules name. */
  hostChanged(): void {
    const changes = this.#sockets.presence.look();
    if (changes.length === 0) return;
    const shown = changes.slice(0, CHANGES_SHOWN);
    this.#logLimit.info(this.#options.log, performance.now(), "ports follow the host", "changes", shown);
    this.#isMoved = true;
    this.#adaptSoon();
  }

  #adaptSoon(): void {
    if (!this.#isQueued) void this.#inTurn(() => this.#adapt());
    this.#isQueued = true;
    void this.#options.pause();
  }

  /** Closes all sockets; flows that use them cannot go on. */
  close(): void {
    this.#sockets.close();
    if (this.#timer >= 0) close(this.#timer);
  }

  /** Does one thing after the other. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Goes over to other rules. Throws AppError or SysError; then everything is as before. */
  async #replace(next: readonly PortRuleState[]): Promise<void> {
    const current = new Set(this.#rules);
    const stay = new Set(next);
    const added = next.filter((state) => !current.has(state));
    const change = this.#newChange();
    try {
      this.#watch([...current, ...added]);
      await this.#prepare(next);
      this.#reserve(added);
      for (const state of inOrder(added)) await this.#open(change, state);
      await change.commit();
      this.#rules = next;
    } catch (cause) {
      await change.rollBack();
      throw cause;
    } finally {
      this.#watch(this.#rules);
    }
    for (const { rule, failures } of added) this.#warn(rule, failures);
    const leaving: ListenerSlot[] = [];
    for (const state of current) {
      if (!stay.has(state)) this.#sockets.forEachSlot(state.rule, (slot) => leaving.push(slot));
    }
    await this.#closer.close(leaving);
    this.#sockets.points.prune();
    // What we listen on ourselves does not count, and has changed.
    this.#isScanNew = true;
    this.#setTimer();
  }

  #watch(states: readonly PortRuleState[]): void {
    this.#sockets.presence.watch(states.map(({ rule }) => rule));
  }

  /** Gets ready what rules need besides sockets. */
  async #prepare(rules: readonly PortRuleState[]): Promise<void> {
    if (rules.some(({ rule }) => rule.pif === Pif.Splice)) await this.#probeLoopback();
    if (!rules.some(({ rule }) => rule.scan)) return;
    this.#scan ??= await this.#openScan();
    this.#readScan();
  }

  async #probeLoopback(): Promise<void> {
    if (this.#isProbed) return;
    const hasDevice = await this.#sockets.probeLoopback();
    this.#isProbed = true;
    if (hasDevice) return;
    this.#options.log.warn(
      "this kernel binds to no interface without privilege: -T and -U listen on 127.0.0.1 and ::1 only",
    );
  }

  async #openScan(): Promise<PortScan> {
    const { enabled, policy } = this.#options;
    return new PortScan({
      host: await this.#diags.of(Pif.Host),
      container: await this.#diags.of(Pif.Splice),
      families: enabled,
      hostLoopbackToContainer: policy.hostLoopbackToContainer || policy.spliceOnly,
    });
  }

  /** The ports that a rule wants at present. */
  #portsOf(rule: PortRule): number[] {
    const ports: number[] = [];
    for (let port = rule.first; port <= rule.last; port++) {
      if (!rule.scan || this.#scan!.isListening(rule, port)) ports.push(port);
    }
    return ports;
  }

  /** Opens the ports of a new rule. Throws AppError when it cannot do without those that cannot be had. */
  async #open(change: PortChange, { rule, failures }: PortRuleState): Promise<void> {
    const ports = this.#portsOf(rule);
    const fail = (port: number, errno: number): void => {
      if (!rule.weak) throw portError(rule, port, errno);
      failures.set(port, errno);
    };
    await change.open(rule, ports, fail);
    if (this.#waits(rule)) return this.#rehearse(rule, ports, fail);
    this.#claim(rule, ports, failures);
    const [first] = failures;
    if (first !== undefined && failures.size === ports.length && !rule.scan) throw portError(rule, ...first);
  }

  #waits(rule: PortRule): boolean {
    return this.#sockets.presence.missing(rule) !== "";
  }

  /** A rule that waits shall not turn out to be impossible when what it waits for is there. */
  async #rehearse(
    rule: PortRule,
    ports: readonly number[],
    onFailure: (port: number, errno: number) => void,
  ): Promise<void> {
    if (rule.weak) return;
    for (const [i, port] of ports.entries()) {
      if (i > 0 && i % SLICE === 0) await this.#pause();
      const errno = this.#sockets.rehearse(rule, port);
      if (errno !== 0) onFailure(port, errno);
    }
  }

  /** Sees to it that what goes one way does not come back. */
  #claim(rule: PortRule, ports: readonly number[], failures: ReadonlyMap<number, number>): void {
    if (this.#waits(rule)) return;
    this.#scan?.claim(
      rule,
      ports.filter((port) => !failures.has(port)),
    );
  }

  /** Makes sure of the descriptors that rules need. Throws AppError (PORT_LIMIT). */
  #reserve(added: readonly PortRuleState[]): void {
    let needed = 0;
    for (const { rule } of added) needed += this.#sockets.countMissing(rule, this.#portsOf(rule));
    reserveDescriptors(needed, this.#options.fdLimit, this.#options.epoll.fd);
  }

  /** Whether rules could do with other ports than they have. */
  #mustAdapt(): boolean {
    takeExpirations(this.#timer);
    return (
      this.#isMoved || this.#rules.some(isRetried) || this.#isScanNew || this.#scan?.hasChanged() === true
    );
  }

  /** Opens and closes ports as the host has changed, and those of automatic rules as others do on the other side. */
  async #adapt(): Promise<void> {
    this.#isQueued = false;
    const isMoved = this.#isMoved;
    this.#isMoved = false;
    const change = this.#newChange();
    const gone: ListenerSlot[] = [];
    try {
      if (this.#rules.some(({ rule }) => rule.scan)) this.#readScan();
      const fresh: [PortRule, Map<number, number>][] = [];
      for (const state of inOrder(this.#rules)) {
        const before = new Map(state.failures);
        if (isMoved || (state.rule.scan && this.#isScanNew)) await this.#compare(change, state, gone);
        else if (isRetried(state)) await this.#retry(change, state, gone);
        const others = [...state.failures].filter(([port, errno]) => before.get(port) !== errno);
        if (others.length > 0) fresh.push([state.rule, new Map(others)]);
      }
      await change.commit();
      this.#isScanNew = false;
      for (const [rule, failures] of fresh) this.#warn(rule, failures);
    } catch (err) {
      gone.length = 0;
      await change.rollBack();
      this.#isScanNew = true;
      this.#isMoved = true;
      const message = "ports could not be adapted; this is tried again";
      this.#warnings.warn(this.#options.log, performance.now(), message, "err", err);
    }
    await this.#closer.close(gone);
    this.#sockets.points.prune();
    this.#setTimer();
  }

  /** Opens what a rule wants and does not have; adds what it has and does not want to `gone`. */
  async #compare(change: PortChange, state: PortRuleState, gone: ListenerSlot[]): Promise<void> {
    const { rule, failures } = state;
    const wanted = new Set(this.#portsOf(rule));
    const open = new Set<number>();
    const elsewhere: [ListenerSlot, number][] = [];
    const isInPlace = this.#sockets.placesOf(rule);
    this.#sockets.forEachSlot(rule, (slot, port) => {
      if (!wanted.has(port)) gone.push(slot);
      else if (isInPlace(slot, port)) open.add(port);
      else elsewhere.push([slot, port]);
    });
    const missing = [...wanted].filter((port) => !open.has(port));
    await this.#openMore(change, state, missing);
    // Where there is no other, it stays.
    for (const [slot, port] of elsewhere) if (!failures.has(port)) gone.push(slot);
  }

  /** Opens ports that could not be had before; adds the sockets that served them elsewhere to `gone`. */
  async #retry(change: PortChange, state: PortRuleState, gone: ListenerSlot[]): Promise<void> {
    const { rule, failures } = state;
    const tried = new Set(failures.keys());
    await this.#openMore(change, state, [...tried]);
    if (failures.size === tried.size) return;
    this.#sockets.forEachSlot(rule, (slot, port) => {
      if (tried.has(port) && !failures.has(port)) gone.push(slot);
    });
  }

  async #openMore(change: PortChange, state: PortRuleState, ports: readonly number[]): Promise<void> {
    const { rule, failures } = state;
    failures.clear();
    await change.open(rule, ports, (port, errno) => failures.set(port, errno));
    this.#claim(rule, ports, failures);
  }

  /** Looks who listens on either side. */
  #readScan(): void {
    if (this.#scan!.read(this.#sockets.points)) this.#isScanNew = true;
  }

  #newChange(): PortChange {
    return new PortChange(this.#sockets, this.#options.listeners, () => this.#pause());
  }

  async #pause(): Promise<void> {
    if (this.#isRunning) await this.#options.pause();
  }

  #warn(rule: PortRule, failures: ReadonlyMap<number, number>): void {
    if (failures.size > 0) this.#options.log.warn(describeFailures(rule, failures));
  }

  /** Looks after automatic rules, and ports that somebody else has, as long as there are any. */
  #setTimer(): void {
    const isNeeded = this.#isMoved || this.#rules.some((state) => state.rule.scan || isRetried(state));
    if (isNeeded && this.#timer < 0) {
      this.#timer = openInterval(SCAN_MS);
      check(this.#options.epoll.add(this.#timer, EPOLLIN, EventKind.Timer, SCAN_TIMER), "epoll_ctl", "timer");
    } else if (!isNeeded && this.#timer >= 0) {
      close(this.#timer);
      this.#timer = -1;
    }
  }
}
