/** Flows as text for the log and for `bucatini flows`. */
import { formatIp } from "../base/address.ts";
import { FLOW_STATE_NAMES, FlowState, PIF_NAMES, flowTypeOrStateName } from "./state.ts";
import {
  type FlowIndex,
  type FlowTable,
  INITIATING,
  SideWord,
  TARGET,
  endpointPort,
  oursPort,
  sidePif,
  wordsOf,
} from "./table.ts";

/**
 * Index, type and what is known of both sides, in the direction of travel: the initiating endpoint, the address
 * it talked to, the address we use towards the target, the target.
 * `flow 12 (TCP): TAP [198.51.100.2]:49152 -> [203.0.113.1]:443 => HOST [192.0.2.7]:49152 -> [203.0.113.1]:443`
 */
export function describeFlow(table: FlowTable, flow: FlowIndex): string {
  const state = table.state[flow];
  const sides = sidesText(table, flow, state);
  return prefix(table, flow, state) + (sides === "" ? "" : `: ${sides}`);
}

/**
 * One change of state, for `FlowTable.onTransition`. Tells what is known in the higher of the two states, so that
 * the line about the end of a flow still says which one it was.
 */
export function describeTransition(table: FlowTable, flow: FlowIndex, from: number, to: number): string {
  const higher = Math.max(from, to);
  const sides = sidesText(table, flow, higher);
  const change = `${FLOW_STATE_NAMES[from]} -> ${FLOW_STATE_NAMES[to]}`;
  return `${prefix(table, flow, higher)}: ${change}${sides === "" ? "" : `, ${sides}`}`;
}

const prefix = (table: FlowTable, flow: FlowIndex, state: number): string =>
  `flow ${flow} (${flowTypeOrStateName(state, table.type[flow])})`;

function sidesText(table: FlowTable, flow: FlowIndex, state: number): string {
  if (state < FlowState.Initiated) return "";
  const { sides } = table;
  const initiating = wordsOf((flow << 1) | INITIATING);
  const start = `${PIF_NAMES[sidePif(sides, initiating)]} ${endpointText(sides, initiating)} -> ${oursText(sides, initiating)}`;
  if (state < FlowState.Targeted) return `${start} => ?`;
  const target = wordsOf((flow << 1) | TARGET);
  return `${start} => ${PIF_NAMES[sidePif(sides, target)]} ${oursText(sides, target)} -> ${endpointText(sides, target)}`;
}

const oursText = (sides: Uint32Array, words: number): string =>
  `[${formatIp(sides, words + SideWord.Ours)}]:${oursPort(sides, words)}`;
const endpointText = (sides: Uint32Array, words: number): string =>
  `[${formatIp(sides, words + SideWord.Endpoint)}]:${endpointPort(sides, words)}`;
