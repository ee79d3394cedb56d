/** Clients at listeners, of TCP and of UDP: who may come in, and where they are led. */
import { isIpv4, isUnicast, isUnspecified } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { Pif } from "../flow/state.ts";
import { NO_FLOW, packKind, packPorts, SideWord, type FlowIndex } from "../flow/table.ts";
import { inboundTarget } from "../forward/inbound.ts";
import type { ListenerSlot } from "../forward/listeners.ts";
import { RateLimit } from "../log/rate-limit.ts";
import type { Net } from "./net.ts";

/** Source ports tried for a client that would look inside like another one. */
const PORT_TRIES = 64;
const FIRST_USER_PORT = 1024;

export class Admission {
  readonly #net: Net;
  /** Clients can bring these about at will. */
  readonly #warnings = new RateLimit();

  constructor(net: Net) {
    this.#net = net;
  }

  /**
   * A new row for the client whose addresses and ports are in `flows.key`, in state INI. Leaves the target's side in
   * the key. NO_FLOW, counted, for a client that may not come in.
   */
  admit(slot: ListenerSlot): FlowIndex {
    const { flows, link, listeners, ports, rules } = this.#net;
    const { key } = flows;
    const rule = listeners.rule(slot);
    if (rule === undefined) return this.#refuse(Count.dropForward);
    if ((key[SideWord.Ports] & 0xffff) === 0) return this.#refuse(Count.dropPort);
    if (!isUnicast(key, SideWord.Endpoint) || isUnspecified(key, SideWord.Ours)) {
      return this.#refuse(Count.dropIpAddress);
    }
    const family = isIpv4(key, SideWord.Endpoint) ? link.v4 : link.v6;
    if (!family.enabled) return this.#refuse(Count.dropFamilyOff);
    const flow = flows.allocate();
    if (flow === NO_FLOW) {
      this.#warn("no room for another flow: clients are refused until others end (see --flows)", slot);
      return this.#refuse(Count.dropFlowTableFull);
    }
    key[SideWord.Kind] = packKind(rule.protocol, rule.pif);
    flows.initiate(flow);
    const pif = inboundTarget(rules, ports, rule, key);
    if (pif === Pif.None || (pif === Pif.Tap && !this.#makeUnique())) {
      flows.cancel(flow);
      return this.#refuse(Count.dropForward);
    }
    return flow;
  }

  /**
   * Clients that differ only in the address or port they came to look the same inside. The key of the second gets
   * another source port; false when there is none.
   */
  #makeUnique(): boolean {
    const { flows } = this.#net;
    const ports = flows.key[SideWord.Ports];
    let ours = ports >>> 16;
    for (let tries = 0; tries < PORT_TRIES; tries++) {
      if (flows.lookup() === NO_FLOW) return true;
      ours = ours <= FIRST_USER_PORT ? 65_535 : ours - 1;
      flows.key[SideWord.Ports] = packPorts(ours, ports & 0xffff);
    }
    return false;
  }

  #refuse(counter: number): typeof NO_FLOW {
    this.#net.counters.add(counter);
    return NO_FLOW;
  }

  #warn(message: string, slot: ListenerSlot): void {
    const { log, host, listeners } = this.#net;
    this.#warnings.warn(log, host.nowMs, message, "port", listeners.port(slot));
  }
}
