import { TierbedError } from '../../base/errors.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import type { InferResponse, SentStamp } from '../rpc/codec/messages.js';
import type { CallContext } from '../rpc/method.js';
import { elapsedNs } from './clock.js';
import {
  ATTEMPT_PARAMETER,
  HOPS_PARAMETER,
  type HopRecord,
  parseHops,
  READY_PARAMETER,
  STAGE_PARAMETER,
} from './hops.js';
import type { NextStage } from './next-hops.js';

/** Tensors, and since when they are there. */
export interface Ready {
  readonly tensors: readonly NamedTensor[];
  readonly readyNs: bigint;
}

export interface ChainResult {
  readonly outputs: readonly NamedTensor[];
  /** The records of the nodes behind this one. */
  readonly behind: readonly HopRecord[];
}

/** One attempt at a hop. */
export interface Attempt {
  /** The same for all attempts of a request; undefined where there is one attempt only. */
  readonly id: string | undefined;
  /** From 0. */
  readonly number: number;
  /** How many stages ran before the next node. */
  readonly stage: number;
  readonly requestedOutputs?: readonly string[] | undefined;
  readonly call: CallContext;
  /** This node's own record; it is filled in only when the answer is there. */
  readonly hop: HopRecord;
}

/**
 * Sends tensors straight to the next stage's node, and completes that node's record with what only the sender sees.
 *
 * @throws TierbedError what the next node threw; `unavailable`, `timeout`, `cancelled`; `invalid` for an answer that is not
 *   to this attempt
 */
export async function forward(next: NextStage, { tensors, readyNs }: Ready, attempt: Attempt): Promise<ChainResult> {
  const { id, number, stage, requestedOutputs, call, hop } = attempt;
  let serialiseNs = 0;
  const parameters = new Map([[STAGE_PARAMETER, BigInt(stage)]]);
  if (number > 0) parameters.set(ATTEMPT_PARAMETER, BigInt(number));
  const answer = await next.client.infer(
    {
      modelName: next.deployment,
      ...(id !== undefined && { id }),
      parameters,
      inputs: tensors,
      ...(requestedOutputs && { requestedOutputs }),
      sending: {
        stamp: true,
        onSent: (sent: SentStamp) => {
          serialiseNs = elapsedNs(readyNs, sent.sentNs);
        },
      },
    },
    { signal: call.signal, deadlineMs: call.deadlineMs },
  );
  checkAnswerTo(answer, id, number, next.address);
  const behind = receivedHops(answer, next.address, hop);
  hop.serialiseNs += serialiseNs;
  return { outputs: answer.outputs, behind };
}

function checkAnswerTo(
  { id = '', parameters }: InferResponse,
  asked: string | undefined,
  attempt: number,
  from: string,
) {
  if (asked === undefined || (id === asked && (parameters.get(ATTEMPT_PARAMETER) ?? 0n) === BigInt(attempt))) return;
  throw new TierbedError(
    'invalid',
    `${from} answered request "${id}" where attempt ${attempt} of "${asked}" was asked`,
    {
      fix: 'Run the same version of Tierbed on every node.',
    },
  );
}

function receivedHops(answer: InferResponse, from: string, hop: HopRecord): HopRecord[] {
  const { received, parameters } = answer;
  const behind = parseHops(parameters.get(HOPS_PARAMETER), from);
  const readyNs = parameters.get(READY_PARAMETER);
  const [sender] = behind;
  if (!received?.sender || !sender || typeof readyNs !== 'string' || !/^\d{1,20}$/.test(readyNs)) {
    throw new TierbedError('invalid', `the answer of ${from} does not say when it was ready and sent`, {
      fix: 'Run the same version of Tierbed on every node.',
    });
  }
  const { sentNs } = received.sender;
  sender.serialiseNs += elapsedNs(BigInt(readyNs), sentNs);
  sender.downNs = elapsedNs(sentNs, received.arrivedNs);
  sender.downBytes = received.bytes;
  hop.deserialiseNs += elapsedNs(received.arrivedNs);
  return behind;
}
