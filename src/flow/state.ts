/**
 * States of a flow table entry.
 *
 *   FREE --allocate--> NEW --initiate--> INI --target--> TGT --setType--> TYPED --activate--> ACTIVE
 *    ^                  |                 |               |                |                    |
 *    +------------------+----- cancel ----+---------------+----------------+       sweep -------+
 *
 * FREE    nothing is known. Allowed: allocate.
 * NEW     the entry is zeroed. Allowed: initiate, cancel.
 * INI     the initiating side is known. Allowed: read it, compute the target, cancel.
 * TGT     both sides are known. Allowed: read them, set the type, cancel.
 * TYPED   the type is known too. Allowed: read the sides, use the type's own columns, activate, cancel.
 * ACTIVE  complete. Allowed: read the sides, use the type's own columns, close. The sweep frees it.
 *
 * NEW, INI, TGT and TYPED never outlive the handling of one event.
 */
export const FlowState = { Free: 0, New: 1, Initiated: 2, Targeted: 3, Typed: 4, Active: 5 } as const;
export type FlowState = (typeof FlowState)[keyof typeof FlowState];

/** Names as logged, by number. */
export const FLOW_STATE_NAMES = ["FREE", "NEW", "INI", "TGT", "TYPED", "ACTIVE"] as const;

/** Which states may follow which; anything else is a defect of the caller. */
export const FLOW_TRANSITIONS: Readonly<Record<FlowState, readonly FlowState[]>> = {
  [FlowState.Free]: [FlowState.New],
  [FlowState.New]: [FlowState.Initiated, FlowState.Free],
  [FlowState.Initiated]: [FlowState.Targeted, FlowState.Free],
  [FlowState.Targeted]: [FlowState.Typed, FlowState.Free],
  [FlowState.Typed]: [FlowState.Active, FlowState.Free],
  [FlowState.Active]: [FlowState.Free],
};

/** What carries a flow. 0 means not yet known. */
export const FlowType = { None: 0, Tcp: 1, Udp: 2, Ping4: 3, Ping6: 4, TcpSplice: 5 } as const;
export type FlowType = (typeof FlowType)[keyof typeof FlowType];
export const FLOW_TYPE_NAMES = ["none", "TCP", "UDP", "ping", "ping6", "spliced TCP"] as const;

/**
 * Where a side of a flow is: a socket in the host's network namespace, the TAP device of the container, or a socket in
 * the container's namespace (the loopback bypass).
 */
export const Pif = { None: 0, Host: 1, Tap: 2, Splice: 3 } as const;
export type Pif = (typeof Pif)[keyof typeof Pif];
export const PIF_NAMES = ["NONE", "HOST", "TAP", "SPLICE"] as const;

/** The state's name while a flow has no type yet, the type's name from then on. */
export function flowTypeOrStateName(state: number, type: number): string {
  return state < FlowState.Typed ? FLOW_STATE_NAMES[state] : FLOW_TYPE_NAMES[type];
}
