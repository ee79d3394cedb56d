/** The sides of a flow by where they are, whichever of them initiated it. */
import { Pif } from "../flow/state.ts";
import { SIDE_WORDS, sidePif, wordsOf, type FlowIndex, type FlowTable } from "../flow/table.ts";

/** First word of the side towards the container, in `flows.sides`. */
export function tapWords(flows: FlowTable, flow: FlowIndex): number {
  const first = wordsOf(flow << 1);
  return sidePif(flows.sides, first) === Pif.Tap ? first : first + SIDE_WORDS;
}

/** First word of the side towards the host, in `flows.sides`. */
export function hostWords(flows: FlowTable, flow: FlowIndex): number {
  const first = wordsOf(flow << 1);
  return sidePif(flows.sides, first) === Pif.Tap ? first + SIDE_WORDS : first;
}
