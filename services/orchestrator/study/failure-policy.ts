import type { FailureAction, FailurePolicy as PolicyMessage } from '../../rpc/node-control.js';
import type { Study } from './study.js';

export type PolicyName = 'fail' | 'retry' | 'fallback';

/** What a node does when the next one does not answer; what of it does not belong to `policy` is not used. */
export interface HopFailurePolicy {
  readonly policy: PolicyName;
  /** How long a node waits for the next one, beyond what that one may spend on its own next hop. */
  readonly hopDeadlineMs: number;
  /** Attempts beyond the first. */
  readonly retries: number;
  /** Before the first of these; doubles each time, less up to a half of it. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
}

/** JSON Schema of the study's key `onHopFailure`. */
export const hopFailureSchema = {
  type: 'object',
  properties: {
    policy: { enum: ['fail', 'retry', 'fallback'] satisfies PolicyName[] },
    hopDeadlineMs: { type: 'number', exclusiveMinimum: 0 },
    retries: { type: 'integer', minimum: 0, maximum: 100 },
    backoffMs: { type: 'number', minimum: 0, maximum: 60_000 },
    maxBackoffMs: { type: 'number', minimum: 0, maximum: 600_000 },
  },
  additionalProperties: false,
};

/** A policy that can do something has to have time left for it. */
const HOP_DEADLINE_MS = 2_000;

/** A study's policy with its defaults: fail, with no deadline but the sample's. */
export function hopFailureOf(choice: Partial<HopFailurePolicy> = {}, deadlineMs: number): HopFailurePolicy {
  const policy = choice.policy ?? 'fail';
  const hopDeadlineMs = policy === 'fail' ? deadlineMs : Math.min(deadlineMs, HOP_DEADLINE_MS);
  return { policy, hopDeadlineMs, retries: 3, backoffMs: 100, maxBackoffMs: 2_000, ...choice };
}

const ACTIONS: Readonly<Record<PolicyName, FailureAction>> = { fail: 'FAIL', retry: 'RETRY', fallback: 'FALLBACK' };

/**
 * What a node is told of the study's policy.
 *
 * @param hops how many hops lie ahead of it: it is to be the more patient the more of them may have trouble of their own,
 *   so that the node nearest to a failure is the one that deals with it
 */
export function policyMessage({ onHopFailure, deadlineMs, seed }: Study, hops: number): PolicyMessage {
  const { policy, retries, backoffMs, maxBackoffMs } = onHopFailure;
  const patienceMs = patienceOf(onHopFailure, hops);
  // The sample's own deadline needs no second timer.
  const hopDeadlineMs = policy === 'fail' && patienceMs >= deadlineMs ? 0 : patienceMs;
  return { action: ACTIONS[policy], hopDeadlineMs, retries, backoffMs, maxBackoffMs, seed };
}

/** How long one attempt at a hop may take, in ms, with `hops` of them ahead. */
function patienceOf(policy: HopFailurePolicy, hops: number): number {
  if (hops <= 1) return policy.hopDeadlineMs;
  const attempts = policy.policy === 'retry' ? policy.retries + 1 : 1;
  let waitsMs = 0;
  for (let i = 0; i < attempts - 1; i++) waitsMs += Math.min(policy.maxBackoffMs, policy.backoffMs * 2 ** i);
  return policy.hopDeadlineMs + attempts * patienceOf(policy, hops - 1) + waitsMs;
}
