import { TierbedError } from '../../base/errors.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import type { InferResponse, SentStamp } from '../rpc/messages.js';
import type { CallContext } from '../rpc/method.js';
import { elapsedNs } from './clock.js';
import type { Deployment } from './deployments.js';
import type { TensorInfo } from './engine.js';
import { HOPS_PARAMETER, type HopRecord, parseHops, READY_PARAMETER, STAGE_PARAMETER } from './hops.js';
import type { WorkQueue } from './queue.js';
import type { InferenceWorker } from './worker-client.js';

/** The name of the one BYTES tensor that carries an encoded item. */
export const ITEM_INPUT = 'item';

/** A request as one node of the chain sees it. */
export interface StageRequest {
  readonly deployment: Deployment;
  readonly inputs: readonly NamedTensor[];
  readonly requestedOutputs?: readonly string[] | undefined;
  /** From here on the request waited for this node's processor. */
  readonly readyNs: bigint;
  /** Whether anyone still waits for the answer, and until when. */
  readonly call: CallContext;
  /** This node's own record, which is filled in. */
  readonly hop: HopRecord;
}

export interface ChainResult {
  readonly outputs: readonly NamedTensor[];
  /** The records of the nodes behind this one. */
  readonly behind: readonly HopRecord[];
}

/** Tensors, and since when they are there. */
interface Ready {
  readonly tensors: readonly NamedTensor[];
  readonly readyNs: bigint;
}

/** Runs a deployment's stage here and everything behind it, and times each step. */
export class Pipeline {
  readonly #queue: WorkQueue;
  readonly #worker: InferenceWorker;

  constructor(queue: WorkQueue, worker: InferenceWorker) {
    this.#queue = queue;
    this.#worker = worker;
  }

  /** @throws TierbedError as the queue, the worker and the next node do */
  async run(request: StageRequest): Promise<ChainResult> {
    const { deployment, requestedOutputs = [] } = request;
    if (!deployment.next) checkOutputs(requestedOutputs, deployment.stage?.outputs ?? []);
    const here = await this.#runHere(request);
    if (deployment.next) return forward(request, deployment.next, here);
    return { outputs: chosen(here.tensors, requestedOutputs), behind: [] };
  }

  async #runHere({ deployment, inputs, readyNs, call, hop }: StageRequest): Promise<Ready> {
    const { spec, stage } = deployment;
    const item = spec.preprocess && encodedItem(inputs);
    if (!stage && !item) return { tensors: inputs, readyNs };
    const job = {
      session: stage?.session,
      fresh: spec.mode === 'cold',
      item: spec.preprocess && item && { bytes: item, preprocess: spec.preprocess },
      inputs: item ? [] : inputs,
    };
    const run = await this.#queue.run(() => this.#worker.run(job), { signal: call.signal });
    hop.ranStage = stage !== undefined;
    hop.queueNs += elapsedNs(readyNs, run.postedNs);
    hop.preprocessNs += run.preprocessNs;
    hop.loadNs += run.loadNs;
    hop.computeNs += run.computeNs;
    // Whatever passed between the job's leaving and its answer that is not named was spent on the way, or around the run.
    hop.handoverNs += elapsedNs(run.postedNs, run.returnedNs) - run.preprocessNs - run.loadNs - run.computeNs;
    return { tensors: run.outputs, readyNs: run.returnedNs };
  }
}

/** Sends tensors straight to the next stage's node, and completes that node's record with what only the sender sees. */
async function forward(
  { deployment, requestedOutputs, call, hop }: StageRequest,
  next: NonNullable<Deployment['next']>,
  { tensors, readyNs }: Ready,
): Promise<ChainResult> {
  const stage = hop.stage + (deployment.stage ? 1 : 0);
  const answer = await next.client.infer(
    {
      modelName: next.deployment,
      parameters: new Map([[STAGE_PARAMETER, BigInt(stage)]]),
      inputs: tensors,
      ...(requestedOutputs && { requestedOutputs }),
      sending: {
        stamp: true,
        onSent: (sent: SentStamp) => {
          hop.serialiseNs += elapsedNs(readyNs, sent.sentNs);
        },
      },
    },
    { signal: call.signal, deadlineMs: call.deadlineMs },
  );
  return { outputs: answer.outputs, behind: receivedHops(answer, next.address, hop) };
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
