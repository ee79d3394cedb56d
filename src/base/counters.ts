/**
 * Everything the engine counts, by name: one number each, shown by `bucatini status`. A packet that is not
 * carried moves exactly one of the `drop` counters; nothing else tells of it.
 */
const NAMES = [
  "tapFramesIn",
  "tapBytesIn",
  "tapFramesOut",
  "tapBytesOut",
  "flowsOpened",
  "flowsClosed",
  "tcpRetransmits",
  "tcpResetsSent",
  "icmpErrorsSent",
  "fragmentsReassembled",
  "dnsAskedAgain",
  "dnsNotKept",
  "captureLost",
  "dropTapWrite",
  "dropShortFrame",
  "dropEthertype",
  "dropVnetHeader",
  "dropArp",
  "dropIpv4Header",
  "dropIpv6Header",
  "dropIpv6Extension",
  "dropIpProtocol",
  "dropIpAddress",
  "dropFragmentBad",
  "dropFragmentLimit",
  "dropFragmentTimeout",
  "dropTcpHeader",
  "dropTcpNoFlow",
  "dropTcpOutOfWindow",
  "dropTcpOutOfOrder",
  "dropTcpQueueFull",
  "dropUdpHeader",
  "dropUdpSend",
  "dropIcmpHeader",
  "dropIcmpType",
  "dropIcmpSend",
  "dropNdp",
  "dropDhcp4",
  "dropDhcp6",
  "dropPort",
  "dropForward",
  "dropFamilyOff",
  "dropProtocolOff",
  "dropFlowTableFull",
  "dropSocketLimit",
  "dropConnectFailed",
  "dropReceivedTooLong",
] as const;
export type CounterName = (typeof NAMES)[number];

/** Index of each counter in `Counters.values`. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries forgets the names
export const Count = Object.fromEntries(NAMES.map((name, index) => [name, index])) as Readonly<
  Record<CounterName, number>
>;

export class Counters {
  /** Exact up to 2^53; indexed by `Count`. */
  readonly values: Float64Array = new Float64Array(NAMES.length);

  add(counter: number, amount = 1): void {
    this.values[counter] += amount;
  }

  /** Counters that are not zero, by name. */
  snapshot(): Partial<Record<CounterName, number>> {
    const result: Partial<Record<CounterName, number>> = {};
    NAMES.forEach((name, index) => {
      if (this.values[index] !== 0) result[name] = this.values[index]!;
    });
    return result;
  }
}
