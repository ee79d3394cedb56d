/** The sides of a flow by where they are, whichever of them initiated it. */
import { Pif } from "../flow/state.ts";
import { sidePif, wordsOf, type FlowIndex, type FlowTable, type SideIndex } from "../flow/table.ts";

/** The side that is not towards the container through the TAP; of two such sides the initiating one. */
export function hostSide(flows: FlowTable, flow: FlowIndex): SideIndex {
  const first = flow << 1;
  return sidePif(flows.sides, wordsOf(first)) === Pif.Tap ? first + 1 : first;
}

/** First word of the side towards the container, in `flows.sides`. */
export const tapWords = (flows: FlowTable, flow: FlowIndex): number => wordsOf(hostSide(flows, flow) ^ 1);

/** First word of the side towards the host, in `flows.sides`. */
export const hostWords = (flows: FlowTable, flow: FlowIndex): number => wordsOf(hostSide(flows, flow));

/** Tells whether the flow goes past the TAP. */
export const isSpliced = (flows: FlowTable, flow: FlowIndex): boolean =>
  sidePif(flows.sides, wordsOf(hostSide(flows, flow) ^ 1)) !== Pif.Tap;
