import { TierbedError } from '../../base/errors.js';
import { toMs } from './clock.js';

/**
 * What one node did for one request, and the link that led to it. Times are nanoseconds of the shared monotonic clock,
 * whole numbers, and no two of them overlap; `Hop` in proto/testbed.proto says what each spans.
 * Travels as JSON in the answer's parameter `tierbed_hops`: this node's record, then those of the nodes behind it.
 */
export interface HopRecord {
  tier: string;
  stage: number;
  ranStage: boolean;
  upNs: number;
  downNs: number;
  upBytes: number;
  downBytes: number;
  deserialiseNs: number;
  serialiseNs: number;
  preprocessNs: number;
  queueNs: number;
  loadNs: number;
  computeNs: number;
  /** Making tensors of what came encoded, and encoding what goes to the next stage. */
  decodeNs: number;
  encodeNs: number;
  handoverNs: number;
  /** Attempts at the next hop that failed, and the waits between them. */
  failoverNs: number;
  /** Attempts at the next hop beyond the first. */
  attempts: number;
  /** The stages behind this node ran here, because the next hop had failed. */
  fellBack: boolean;
  /** The request ended at the exit of the stage that ran here. */
  exited: boolean;
}

/** The times of a hop, in the order in which they are summed. */
export const HOP_TIMES = [
  'upNs',
  'deserialiseNs',
  'preprocessNs',
  'queueNs',
  'handoverNs',
  'loadNs',
  'decodeNs',
  'computeNs',
  'encodeNs',
  'serialiseNs',
  'failoverNs',
  'downNs',
] as const satisfies readonly (keyof HopRecord)[];

/** Names of the parameters that nodes give each other. */
export const HOPS_PARAMETER = 'tierbed_hops';
/** How many stages ran before this node: the index of its own. */
export const STAGE_PARAMETER = 'tierbed_stage';

/** When a node had its answer ready, on the shared clock in decimal ns: what passes until it is sent is its writing. */
export const READY_PARAMETER = 'tierbed_ready_ns';

/** Which attempt at its hop a request is, from 0; the answer says the same. */
export const ATTEMPT_PARAMETER = 'tierbed_attempt';

/** A record of nothing yet. */
export function newHop(tier: string, stage: number): HopRecord {
  return {
    tier,
    stage,
    ranStage: false,
    upNs: 0,
    downNs: 0,
    upBytes: 0,
    downBytes: 0,
    deserialiseNs: 0,
    serialiseNs: 0,
    preprocessNs: 0,
    queueNs: 0,
    loadNs: 0,
    computeNs: 0,
    decodeNs: 0,
    encodeNs: 0,
    handoverNs: 0,
    failoverNs: 0,
    attempts: 0,
    fellBack: false,
    exited: false,
  };
}

/** All that a hop's record accounts for, in ns. */
export function accountedNs(hop: HopRecord): number {
  return HOP_TIMES.reduce((sum, part) => sum + hop[part], 0);
}

/**
 * The records in an answer of another node.
 *
 * @throws TierbedError `invalid` when they are not what a node of this version writes
 */
export function parseHops(text: unknown, from: string): HopRecord[] {
  const problem = (what: string): TierbedError =>
    new TierbedError('invalid', `the answer of ${from} has ${what} in its parameter ${HOPS_PARAMETER}`, {
      fix: 'Run the same version of Tierbed on every node.',
    });
  if (typeof text !== 'string') throw problem('no records');
  let records: unknown;
  try {
    records = JSON.parse(text);
  } catch {
    throw problem('something that is not JSON');
  }
  const model = newHop('', 0);
  if (!Array.isArray(records) || records.length === 0) throw problem('no records');
  for (const record of records as Record<string, unknown>[]) {
    for (const [key, value] of Object.entries(model)) {
      if (typeof record?.[key] !== typeof value) throw problem(`a record without "${key}"`);
    }
  }
  return records as HopRecord[];
}

/** The parts of a sample in ms; `endToEndMs` is exactly the sum of every hop's parts, `postprocessMs` and `otherMs`. */
export interface SampleTimes {
  readonly endToEndMs: number;
  readonly postprocessMs: number;
  readonly otherMs: number;
}

/** What is left of a sample's time when every part that has a name is taken off: dispatch, the event loop, timers. */
export function sampleTimes(totalNs: number, hops: readonly HopRecord[], postprocessNs: number): SampleTimes {
  const named = hops.reduce((sum, hop) => sum + accountedNs(hop), postprocessNs);
  return { endToEndMs: toMs(totalNs), postprocessMs: toMs(postprocessNs), otherMs: toMs(totalNs - named) };
}
