/**
 * Whether what rules name is there: address families, and the host's addresses and interfaces. All of it may come and
 * go. The kernel is asked in the way in which listeners are bound, so that the answer is also right for addresses that
 * no table shows: those of whole local routes, of broadcasts, of 127.0.0.0/8.
 */
import { formatIp, ipv4Words, isIpv4, isUnspecified } from "../../base/address.ts";
import * as c from "../../ffi/constants.ts";
import { Pif } from "../../flow/state.ts";
import type { Address } from "../../forward/address-rules.ts";
import type { PortRule } from "../../forward/port-rule.ts";
import type { Families } from "../../forward/port-rules.ts";
import { tryToBind } from "../../kernel/listen.ts";
import { needsScope } from "../../kernel/socket.ts";

export interface PresenceOptions {
  /** Families that are on at the moment. */
  readonly enabled: Families;
  /** Interface index that goes with link-local IPv6 addresses of the host at present, or 0. */
  readonly hostScope: () => number;
  /** Whether sockets may be bound to addresses that are not there yet. */
  readonly freebind: boolean;
  /** Whether rules wait for what is not there; otherwise it is not looked for, and opening fails. */
  readonly follow: boolean;
}

/** An address, an interface, or both, as a rule names them. */
interface Place {
  readonly address: Address | undefined;
  readonly device: string | undefined;
  /** Interface that sockets there are bound to; 0 for none. */
  index: number;
  /** What is not there, in words; empty: nothing. */
  missing: string;
}

const ANY_4 = ipv4Words(0);
const ANY_6: Address = new Uint32Array(4);
const NAMES = { ipv4: "IPv4", ipv6: "IPv6" } as const;

export class Presence {
  readonly #options: PresenceOptions;
  /** As they were when they were looked at last. */
  #families: Families;
  readonly #places = new Map<string, Place>();

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#families = { ...options.enabled };
  }

  /** Looks at what rules name and nobody has named before; forgets what none of them names. */
  watch(rules: readonly PortRule[]): void {
    if (!this.#options.follow) return;
    const known = new Map(this.#places);
    this.#places.clear();
    for (const rule of rules) {
      const key = placeKey(rule);
      if (key === undefined || this.#places.has(key)) continue;
      this.#places.set(key, known.get(key) ?? this.#look(named(rule), rule.device));
    }
  }

  /** Looks at everything again: what is different now, in words. */
  look(): string[] {
    const changes: string[] = [];
    const { enabled } = this.#options;
    for (const family of ["ipv4", "ipv6"] as const) {
      if (enabled[family] === this.#families[family]) continue;
      changes.push(`${NAMES[family]} is ${enabled[family] ? "on" : "off"}`);
    }
    this.#families = { ipv4: enabled.ipv4, ipv6: enabled.ipv6 };
    for (const place of this.#places.values()) {
      const { missing, index } = this.#look(place.address, place.device);
      if (missing !== "" && place.missing === "") changes.push(`${missing} is gone`);
      else if (missing === "" && place.missing !== "") changes.push(`${place.missing} is there`);
      else if (index !== place.index) changes.push(`${place.device ?? "the template"} is another interface`);
      Object.assign(place, { missing, index });
    }
    return changes;
  }

  /** What a rule waits for, in words; empty: nothing. */
  missing(rule: PortRule): string {
    const { listen } = rule;
    const family = listen === undefined || isIpv4(listen) ? "ipv4" : "ipv6";
    if (listen !== undefined && !this.#families[family]) return NAMES[family];
    return this.#placeOf(rule)?.missing ?? "";
  }

  /** The interface that sockets of a rule are bound to, by index; 0 for none, or where that never matters. */
  index(rule: PortRule): number {
    return this.#placeOf(rule)?.index ?? 0;
  }

  /** Where a rule listens whose families are on; undefined: on every address of both. */
  address({ listen }: PortRule): Address | undefined {
    const { ipv4, ipv6 } = this.#families;
    if (listen !== undefined || ipv4 === ipv6) return listen;
    return ipv4 ? ANY_4 : ANY_6;
  }

  #placeOf(rule: PortRule): Place | undefined {
    const key = placeKey(rule);
    return key === undefined ? undefined : this.#places.get(key);
  }

  #look(address: Address | undefined, device: string | undefined): Place {
    const { hostScope, freebind } = this.#options;
    const v6 = address !== undefined && !isIpv4(address);
    const isScoped = v6 && device === undefined && needsScope(address, 0);
    const scope = isScoped ? hostScope() : 0;
    const index =
      isScoped && scope === 0
        ? -c.EADDRNOTAVAIL
        : tryToBind({ protocol: c.IPPROTO_UDP, address, v6, port: 0, device, freebind, scope });
    let missing = "";
    if (index === -c.ENODEV && device !== undefined) missing = `the interface ${device}`;
    else if (address !== undefined && (index === -c.EADDRNOTAVAIL || index === -c.ENODEV)) {
      missing = `${formatIp(address)}${device === undefined ? "" : ` on ${device}`}`;
    }
    // With any other error it is there, and opening tells what is wrong.
    return { address, device, index: scope === 0 ? Math.max(0, index) : scope, missing };
  }
}

/** The address that must be there; undefined: none. */
const named = ({ listen }: PortRule): Address | undefined =>
  listen === undefined || isUnspecified(listen) ? undefined : listen;

/** Equal for rules that listen in the same place; undefined where nothing can be missing but a family. */
function placeKey(rule: PortRule): string | undefined {
  const address = named(rule);
  const { pif, device } = rule;
  if (pif !== Pif.Host || (address === undefined && device === undefined)) return undefined;
  return `${address === undefined ? "" : formatIp(address)}%${device ?? ""}`;
}
