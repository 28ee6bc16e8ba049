import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { TierbedError } from '../../base/errors.js';
import { Random } from '../../base/random.js';
import type { TensorInfo } from '../../onnx/runtime/tensors.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import { HopFailure } from '../rpc/hop-failure.js';
import type { CallContext } from '../rpc/method.js';
import { elapsedNs, nowNs } from './clock.js';
import { withDeadline } from './deadline.js';
import type { Deployment, RunnableStage } from './deployments.js';
import { backoffMs, FAIL, isMendable } from './failure-policy.js';
import { type ChainResult, forward, type Ready } from './forward.js';
import { type HopRecord, newHop } from './hops.js';
import type { NextStage } from './next-hops.js';
import type { WorkQueue } from './queue.js';
import { copied } from './transfer.js';
import type { InferenceWorker } from './worker-client.js';

/** The name of the one BYTES tensor that carries an encoded item. */
export const ITEM_INPUT = 'item';

/** A request as one node of the chain sees it. */
export interface StageRequest {
  readonly deployment: Deployment;
  /** What its sender calls it, the same in every attempt. */
  readonly id?: string | undefined;
  readonly inputs: readonly NamedTensor[];
  readonly requestedOutputs?: readonly string[] | undefined;
  /** From here on the request waited for this node's processor. */
  readonly readyNs: bigint;
  /** Whether anyone still waits for the answer, and until when. */
  readonly call: CallContext;
  /** This node's own record, which is filled in. */
  readonly hop: HopRecord;
}

/** Runs a deployment's stage here and everything behind it, and times each step. */
export class Pipeline {
  readonly #queue: WorkQueue;
  readonly #worker: InferenceWorker;

  constructor(queue: WorkQueue, worker: InferenceWorker) {
    this.#queue = queue;
    this.#worker = worker;
  }

  /** @throws TierbedError as the queue, the worker and the next node do; `HopFailure` when a policy did not help */
  async run(request: StageRequest): Promise<ChainResult> {
    const { deployment, inputs, readyNs, requestedOutputs = [] } = request;
    const { stage, next } = deployment;
    const last = deployment.behind.at(-1)?.stage ?? stage;
    if (!next) checkOutputs(requestedOutputs, last?.outputs ?? []);
    const { preprocess, encode, decode, exit } = deployment.spec;
    const here = await this.#runHere(
      { stage, preprocess, encode, decode, exit },
      { tensors: inputs, readyNs },
      request,
      request.hop,
    );
    if (next && !request.hop.exited) return this.#goOn(request, next, here);
    if (request.hop.exited) return { outputs: chosen(here.tensors, requestedOutputs), behind: [] };
    return this.#runBehind(request, deployment.behind, here, request.hop.stage + 1);
  }

  /** Runs one stage on this node's processor, and names what it took in `hop`. */
  async #runHere(
    { stage, preprocess, encode, decode, exit }: RunnableStage,
    { tensors, readyNs }: Ready,
    { deployment, call }: StageRequest,
    hop: HopRecord,
  ): Promise<Ready> {
    const item = preprocess && encodedItem(tensors);
    if (!stage && !item) return { tensors, readyNs };
    const job = {
      session: stage?.session,
      fresh: deployment.spec.mode === 'cold',
      item: preprocess && item && { bytes: item, preprocess },
      inputs: item ? [] : tensors,
      ...{ encode, decode, exit },
    };
    const run = await this.#queue.run(() => this.#worker.run(job), { signal: call.signal });
    hop.ranStage = stage !== undefined;
    hop.exited = run.exited;
    hop.queueNs += elapsedNs(readyNs, run.postedNs);
    hop.preprocessNs += run.preprocessNs;
    hop.loadNs += run.loadNs;
    hop.decodeNs += run.decodeNs;
    hop.computeNs += run.computeNs;
    hop.encodeNs += run.encodeNs;
    // Whatever passed between the job's leaving and its answer that is not named was spent on the way, or around the run.
    const named = run.preprocessNs + run.loadNs + run.decodeNs + run.computeNs + run.encodeNs;
    hop.handoverNs += elapsedNs(run.postedNs, run.returnedNs) - named;
    return { tensors: run.outputs, readyNs: run.returnedNs };
  }

  /** Takes the hop to the next node, and does what the deployment's policy says when that fails. */
  async #goOn(request: StageRequest, next: NextStage, here: Ready): Promise<ChainResult> {
    const { deployment, requestedOutputs, call, hop } = request;
    const { spec } = deployment;
    const { failure = FAIL } = spec;
    const retrying = failure.action === 'retry';
    const id = retrying ? request.id || randomUUID() : undefined;
    const stage = hop.stage + (deployment.stage ? 1 : 0);
    let random: Random | undefined;
    let { readyNs } = here;
    for (;;) {
      try {
        return await withDeadline(
          call,
          failure.hopDeadlineMs,
          (within) =>
            forward(
              next,
              { tensors: here.tensors, readyNs },
              {
                ...{ id, number: hop.attempts, stage, requestedOutputs, call: within, hop },
              },
            ),
          `${next.address} did not answer within the hop's ${failure.hopDeadlineMs} ms`,
        );
      } catch (error) {
        // Whoever does not wait any more is not helped by another way.
        if (call.signal.aborted || failure.action === 'fail') throw error;
        if (error instanceof TierbedError && error.kind === 'timeout') next.client.channel.suspect();
        if (retrying) {
          random ??= new Random(failure.seed).fork(`${spec.name} ${id}`);
          const waitMs = backoffMs(failure, hop.attempts + 1, random);
          const inTime = Date.now() + waitMs < (call.deadlineMs ?? Number.POSITIVE_INFINITY);
          if (!isMendable(error) || hop.attempts >= failure.retries || !inTime) throw gaveUp(error, hop.attempts);
          await sleep(waitMs, undefined, { signal: call.signal }).catch(() => call.signal.throwIfAborted());
          hop.attempts++;
        }
        const failedNs = nowNs();
        hop.failoverNs += elapsedNs(readyNs, failedNs);
        readyNs = failedNs;
        if (!retrying) return this.#fallBack(request, { tensors: here.tensors, readyNs }, stage);
      }
    }
  }

  /** Runs the stages behind this node on this node. */
  async #fallBack(request: StageRequest, { tensors, readyNs }: Ready, firstStage: number): Promise<ChainResult> {
    request.hop.fellBack = true;
    // The attempt that failed may still be reading the tensors where they lie, and the worker takes what it is given away.
    const copies = { tensors: copied(tensors), readyNs };
    return this.#runBehind(request, request.deployment.fallback, copies, firstStage);
  }

  /** Runs stages on this node, one after the other, until one of them has the answer. */
  async #runBehind(
    request: StageRequest,
    stages: readonly RunnableStage[],
    from: Ready,
    firstStage: number,
  ): Promise<ChainResult> {
    const { requestedOutputs = [], hop } = request;
    const behind: HopRecord[] = [];
    let ready = from;
    for (const [i, stage] of stages.entries()) {
      const record = newHop(hop.tier, firstStage + i);
      ready = await this.#runHere(stage, ready, request, record);
      behind.push(record);
      if (record.exited) break;
    }
    return { outputs: chosen(ready.tensors, requestedOutputs), behind };
  }
}

/** The error of a hop whose attempts are used up. */
function gaveUp(error: unknown, attempts: number): unknown {
  if (!(error instanceof TierbedError)) return error;
  const { kind, message, fix } = error;
  const all = attempts + (error instanceof HopFailure ? error.attempts : 0);
  const tries = attempts > 0 ? ` (${attempts + 1} attempts)` : '';
  return new HopFailure(kind, `${message}${tries}`, all, { cause: error, ...(fix !== undefined && { fix }) });
}

function encodedItem(inputs: readonly NamedTensor[]): Uint8Array | undefined {
  const [only] = inputs;
  if (inputs.length !== 1 || only?.name !== ITEM_INPUT || only.tensor.dtype !== 'string') return undefined;
  if (only.tensor.data.length !== 1) {
    throw new TierbedError('invalid', `the input "${ITEM_INPUT}" must hold one item, got ${only.tensor.data.length}`);
  }
  return only.tensor.data[0];
}

/** @throws TierbedError `invalid` for an output that the model does not have */
function checkOutputs(names: readonly string[], known: readonly TensorInfo[]): void {
  for (const name of names) {
    if (known.some((output) => output.name === name)) continue;
    const has = known.map((output) => output.name).join(', ');
    throw new TierbedError('invalid', `the model has no output "${name}"; it has ${has}`);
  }
}

function chosen(outputs: readonly NamedTensor[], names: readonly string[]): readonly NamedTensor[] {
  if (names.length === 0) return outputs;
  return names.flatMap((name) => outputs.find((output) => output.name === name) ?? []);
}
