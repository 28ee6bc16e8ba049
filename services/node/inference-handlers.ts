import { type ErrorKind, TierbedError } from '../../base/errors.js';
import { version } from '../../base/paths.js';
import type { TensorInfo } from '../../onnx/runtime/tensors.js';
import { DATATYPE_OF } from '../rpc/codec/datatypes.js';
import type { InferRequest, InferResponse, Parameter, SentStamp } from '../rpc/codec/messages.js';
import type { InferenceHandlers, ModelMetadata, TensorMetadata } from '../rpc/inference.js';
import type { CallContext } from '../rpc/method.js';
import { elapsedNs, nowNs } from './clock.js';
import type { Deployment, Deployments } from './deployments.js';
import { ATTEMPT_PARAMETER, HOPS_PARAMETER, newHop, READY_PARAMETER, STAGE_PARAMETER } from './hops.js';
import type { NodeMetrics } from './metrics.js';
import { ITEM_INPUT, type Pipeline } from './pipeline.js';

/** The one version that a deployment has. */
const MODEL_VERSION = '1';

/** What the data plane answers from. */
export interface InferenceContext {
  readonly tier: string;
  readonly deployments: Deployments;
  readonly pipeline: Pipeline;
  readonly metrics: NodeMetrics;
  /** false while the node shuts down. */
  ready(): boolean;
}

/** The calls of the Open Inference Protocol v2, over what is deployed. */
export function inferenceHandlers(context: InferenceContext): InferenceHandlers {
  const { deployments } = context;
  return {
    serverLive: async () => ({ live: true }),
    serverReady: async () => ({ ready: context.ready() }),
    serverMetadata: async () => ({ name: 'tierbed', version, extensions: ['model_repository'] }),
    modelReady: async ({ name, version }) => ({
      ready: isVersion(version) && deployments.list().some((known) => known.name === name && known.ready),
    }),
    modelMetadata: async ({ name, version }) => {
      checkVersion(name, version);
      return metadata(deployments.get(name));
    },
    modelInfer: (request, call) => infer(context, request, call),
    repositoryIndex: async ({ ready }) => ({
      models: deployments
        .list()
        .filter((known) => known.ready || !ready)
        .map((known) => ({
          name: known.name,
          version: MODEL_VERSION,
          state: known.ready ? 'READY' : 'UNAVAILABLE',
          reason: known.ready ? '' : 'unloaded',
        })),
    }),
    repositoryModelLoad: async ({ modelName }) => {
      await deployments.load(modelName);
      return {};
    },
    repositoryModelUnload: async ({ modelName }) => {
      await deployments.unload(modelName);
      return {};
    },
  };
}

async function infer(context: InferenceContext, request: InferRequest, call: CallContext): Promise<InferResponse> {
  const { received } = request;
  const arrivedNs = received?.arrivedNs ?? nowNs();
  const hop = newHop(context.tier, stageOf(request));
  if (received) {
    hop.upBytes = received.bytes;
    hop.deserialiseNs = Number(received.deserialiseNs);
    if (received.sender) hop.upNs = elapsedNs(received.sender.sentNs, arrivedNs);
    context.metrics.received(received.bytes);
  }
  const attempt = request.parameters.get(ATTEMPT_PARAMETER);
  let status: 'ok' | ErrorKind = 'internal';
  try {
    checkVersion(request.modelName, request.modelVersion ?? '');
    const response = await context.deployments.use(request.modelName, async (deployment): Promise<InferResponse> => {
      const { outputs, behind } = await context.pipeline.run({
        deployment,
        id: request.id,
        inputs: request.inputs,
        requestedOutputs: request.requestedOutputs,
        readyNs: arrivedNs + BigInt(hop.deserialiseNs),
        call,
        hop,
      });
      return {
        modelName: request.modelName,
        modelVersion: MODEL_VERSION,
        ...(request.id && { id: request.id }),
        parameters: new Map<string, Parameter>([
          [READY_PARAMETER, String(nowNs())],
          [HOPS_PARAMETER, JSON.stringify([hop, ...behind])],
          ...(attempt === undefined ? [] : [[ATTEMPT_PARAMETER, attempt] as const]),
        ]),
        outputs,
        sending: { stamp: true, onSent: (sent: SentStamp) => context.metrics.sent(sent.bytes) },
      };
    });
    status = 'ok';
    return response;
  } catch (error) {
    if (error instanceof TierbedError) status = error.kind;
    throw error;
  } finally {
    const totalNs = elapsedNs(arrivedNs);
    // Counted when the answer is on its way: nobody has to wait for that.
    setImmediate(() => context.metrics.request(status, totalNs, hop));
  }
}

/** The index that the sender gave this node's stage; 0 for a request that comes from outside. */
function stageOf(request: InferRequest): number {
  const stage = request.parameters.get(STAGE_PARAMETER);
  return typeof stage === 'bigint' && stage >= 0n && stage < 1000n ? Number(stage) : 0;
}

function isVersion(version: string): boolean {
  return version === '' || version === MODEL_VERSION;
}

function checkVersion(name: string, version: string): void {
  if (isVersion(version)) return;
  throw new TierbedError('missing', `model "${name}" has no version "${version}"`, {
    fix: `Ask for version ${MODEL_VERSION}, or for none.`,
  });
}

function metadata({ spec, stage, next, behind }: Deployment): ModelMetadata {
  const item: TensorMetadata = { name: ITEM_INPUT, datatype: 'BYTES', shape: [1] };
  return {
    name: spec.name,
    versions: [MODEL_VERSION],
    platform: stage ? 'onnx' : 'forward',
    inputs: stage ? stage.inputs.map(spec.decode ? encodedMetadata : tensorMetadata) : [item],
    // What comes out of a chain is known to its last node only.
    outputs: next ? [] : ((behind.at(-1)?.stage ?? stage)?.outputs ?? []).map(tensorMetadata),
  };
}

/** Encoded tensors are bytes; which tensor they hold they say themselves. */
function encodedMetadata({ name }: TensorInfo): TensorMetadata {
  return { name, datatype: 'UINT8', shape: [-1] };
}

function tensorMetadata({ name, dtype, shape }: TensorInfo): TensorMetadata {
  return {
    name,
    datatype: (DATATYPE_OF as Readonly<Record<string, string>>)[dtype] ?? dtype,
    shape: shape.map((dim) => (typeof dim === 'number' ? dim : -1)),
  };
}
