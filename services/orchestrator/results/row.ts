import { BYTE_COUNTS, COLUMNS, MAX_STAGES, PARTS, type Part, type SampleRow } from '../../../analysis/columns.js';
import type { StrategyIdentity } from '../../../analysis/summary.js';
import { messageOf } from '../../../base/errors.js';
import { HopFailure } from '../../rpc/hop-failure.js';
import type { Hop, RunSampleResponse } from '../../rpc/node-control.js';

/** What a row is made of; `otherMs` is not taken over but is what the parts leave of the whole. */
export type SampleAnswer = Omit<RunSampleResponse, 'otherMs'>;

/** What is known of a sample before it runs. */
export interface SampleIdentity {
  readonly sample: number;
  readonly round: number;
  readonly block: number;
  readonly item: string;
  readonly label: string;
  readonly strategy: StrategyIdentity;
  readonly payload: string;
}

const EMPTY: SampleRow = Object.fromEntries(COLUMNS.map(({ name, type }) => [name, type === 'text' ? '' : null]));

/** Whether a prediction is right; null where nothing is right or wrong. @throws TierbedError when it cannot be told */
export type Judge = (prediction: string, label: string) => boolean | null;

const equal: Judge = (prediction, label) => (label === '' ? null : prediction === label);

/**
 * The row of a sample that ran. Its parts add up to `endToEndMs` to the nanosecond.
 *
 * @throws TierbedError as `judge`
 */
export function sampleRow(identity: SampleIdentity, answer: SampleAnswer, judge: Judge = equal): SampleRow {
  return {
    ...identityCells(identity),
    status: 'ok',
    ...wayCells(answer.hops),
    exit: answer.hops.find((hop) => hop.exited)?.stage ?? null,
    startedAtUnixMs: answer.startedAtUnixMs,
    endToEndMs: toMs(toNs(answer.endToEndMs)),
    ...partCells(answer),
    ...stageCells(answer.hops),
    ...byteCells(answer.hops),
    prediction: answer.prediction,
    correct: judge(answer.prediction, identity.label),
    outputSha256: answer.outputSha256,
  };
}

/** The row of a sample that failed: what it was, when, and why. */
export function failedRow(identity: SampleIdentity, error: unknown, startedAtUnixMs: number): SampleRow {
  const attempts = error instanceof HopFailure ? error.attempts : null;
  return { ...identityCells(identity), status: 'failed', error: messageOf(error), attempts, startedAtUnixMs };
}

/** How the answer came about: at the first attempt of every hop, after others, or without the nodes that did not answer. */
function wayCells(hops: readonly Hop[]): SampleRow {
  const attempts = hops.reduce((sum, hop) => sum + hop.attempts, 0);
  return { attempts, way: hops.some((hop) => hop.fellBack) ? 'fallback' : attempts > 0 ? 'retry' : 'direct' };
}

function identityCells({ strategy, ...identity }: SampleIdentity): SampleRow {
  const { id, workload, recipe, placement, session } = strategy;
  return { ...EMPTY, ...identity, strategy: id, workload, recipe, placement, session };
}

function partCells({ endToEndMs, hops, postprocessMs }: SampleAnswer): SampleRow {
  const sumNs = (pick: (hop: Hop) => number): number => hops.reduce((sum, hop) => sum + toNs(pick(hop)), 0);
  const named: Record<Exclude<Part, 'other'>, number> = {
    preprocess: sumNs((hop) => hop.preprocessMs),
    queue: sumNs((hop) => hop.queueMs),
    load: sumNs((hop) => hop.loadMs),
    decode: sumNs((hop) => hop.decodeMs),
    compute: sumNs((hop) => hop.computeMs),
    encode: sumNs((hop) => hop.encodeMs),
    serialise: sumNs((hop) => hop.serialiseMs),
    deserialise: sumNs((hop) => hop.deserialiseMs),
    handover: sumNs((hop) => hop.handoverMs),
    failover: sumNs((hop) => hop.failoverMs),
    hop1Up: toNs(hops[1]?.upMs ?? 0),
    hop1Down: toNs(hops[1]?.downMs ?? 0),
    hop2Up: toNs(hops[2]?.upMs ?? 0),
    hop2Down: toNs(hops[2]?.downMs ?? 0),
    postprocess: toNs(postprocessMs),
  };
  const other = toNs(endToEndMs) - Object.values(named).reduce((sum, ns) => sum + ns, 0);
  const all: Record<Part, number> = { ...named, other };
  return Object.fromEntries(PARTS.map((part) => [`${part}Ms`, toMs(all[part])]));
}

/** Of which, by stage: empty for stages that the strategy has not. */
function stageCells(hops: readonly Hop[]): SampleRow {
  const cells: Record<string, number | null> = {};
  for (let stage = 0; stage < MAX_STAGES; stage++) {
    const hop = hops.find((candidate) => candidate.ranStage && candidate.stage === stage);
    cells[`stage${stage}QueueMs`] = hop ? toMs(toNs(hop.queueMs)) : null;
    cells[`stage${stage}LoadMs`] = hop ? toMs(toNs(hop.loadMs)) : null;
    cells[`stage${stage}ComputeMs`] = hop ? toMs(toNs(hop.computeMs)) : null;
  }
  return cells;
}

function byteCells(hops: readonly Hop[]): SampleRow {
  const counts = [hops[1]?.upBytes, hops[1]?.downBytes, hops[2]?.upBytes, hops[2]?.downBytes];
  return Object.fromEntries(BYTE_COUNTS.map((count, i) => [`${count}Bytes`, counts[i] ?? 0]));
}

function toNs(ms: number): number {
  return Math.round(ms * 1e6);
}

function toMs(ns: number): number {
  return ns / 1e6;
}
