import { serveBidi } from './calls/serve-bidi.js';
import { serveUnary } from './calls/serve-unary.js';
import { decodeInferRequest, decodeInferResponse, decodeStreamResponse } from './codec/decode.js';
import { encodeInferRequest, encodeInferResponse, encodeStreamResponse } from './codec/encode.js';
import type { InferRequest, InferResponse } from './codec/messages.js';
import type { HandlersOf, Method } from './method.js';
import { codecsOf, loadProto } from './protos.js';
import type { RpcService } from './server/service.js';
import { toStatus } from './status.js';

export type Empty = Readonly<Record<string, never>>;

/** Names a model; version '' leaves the choice to the server. */
export interface ModelVersion {
  readonly name: string;
  readonly version: string;
}

export interface ServerMetadata {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}

/** A tensor of a model: OIP's datatype (`FP32`), -1 for a dimension of any size. */
export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface RepositoryIndexRequest {
  readonly repositoryName: string;
  /** true: only models that are ready. */
  readonly ready: boolean;
}

export interface ModelIndexEntry {
  readonly name: string;
  readonly version: string;
  /** `READY`, `LOADING`, `UNAVAILABLE`... */
  readonly state: string;
  readonly reason: string;
}

export interface RepositoryModel {
  readonly repositoryName: string;
  readonly modelName: string;
}

const SERVICE = 'inference.GRPCInferenceService';
const PROTO = 'inference.proto';
const definition = loadProto(PROTO);

/** A method whose messages protobufjs reads and writes: all but those with tensors. */
function plain<Request, Response>(name: string): Method<Request, Response> {
  return codecsOf(definition, SERVICE, name);
}

/** The calls of `inference.GRPCInferenceService`. */
export const inferenceMethods = {
  serverLive: plain<Empty, { readonly live: boolean }>('ServerLive'),
  serverReady: plain<Empty, { readonly ready: boolean }>('ServerReady'),
  modelReady: plain<ModelVersion, { readonly ready: boolean }>('ModelReady'),
  serverMetadata: plain<Empty, ServerMetadata>('ServerMetadata'),
  modelMetadata: plain<ModelVersion, ModelMetadata>('ModelMetadata'),
  modelInfer: {
    path: `/${SERVICE}/ModelInfer`,
    request: { encode: encodeInferRequest, decode: decodeInferRequest },
    response: { encode: encodeInferResponse, decode: decodeInferResponse },
  } satisfies Method<InferRequest, InferResponse>,
  repositoryIndex: plain<RepositoryIndexRequest, { readonly models: readonly ModelIndexEntry[] }>('RepositoryIndex'),
  repositoryModelLoad: plain<RepositoryModel, Empty>('RepositoryModelLoad'),
  repositoryModelUnload: plain<RepositoryModel, Empty>('RepositoryModelUnload'),
};

/** What answers ModelStreamInfer: an answer, or what went wrong with one request. */
export type StreamAnswer = InferResponse | { readonly errorMessage: string };

export const modelStreamInfer: Method<InferRequest, StreamAnswer> = {
  path: `/${SERVICE}/ModelStreamInfer`,
  request: inferenceMethods.modelInfer.request,
  response: {
    encode: (answer) => encodeStreamResponse('errorMessage' in answer ? answer : encodeInferResponse(answer)),
    decode: decodeStreamResponse,
  },
};

/** One async function a call. ModelStreamInfer is answered with `modelInfer`, one request after the other. */
export type InferenceHandlers = HandlersOf<typeof inferenceMethods>;

/** The data plane's service, for `startRpcServer`. */
export function inferenceService(handlers: InferenceHandlers): RpcService {
  return {
    name: SERVICE,
    proto: PROTO,
    calls: [
      serveUnary(inferenceMethods.serverLive, handlers.serverLive),
      serveUnary(inferenceMethods.serverReady, handlers.serverReady),
      serveUnary(inferenceMethods.modelReady, handlers.modelReady),
      serveUnary(inferenceMethods.serverMetadata, handlers.serverMetadata),
      serveUnary(inferenceMethods.modelMetadata, handlers.modelMetadata),
      serveUnary(inferenceMethods.modelInfer, handlers.modelInfer),
      serveUnary(inferenceMethods.repositoryIndex, handlers.repositoryIndex),
      serveUnary(inferenceMethods.repositoryModelLoad, handlers.repositoryModelLoad),
      serveUnary(inferenceMethods.repositoryModelUnload, handlers.repositoryModelUnload),
      serveBidi(modelStreamInfer, handlers.modelInfer, (error) => ({ errorMessage: toStatus(error).details })),
    ],
  };
}
