import { serveClientStream } from './calls/serve-client-stream.js';
import { serveUnary } from './calls/serve-unary.js';
import type { Empty } from './inference.js';
import type { Handler, HandlersOf, Method } from './method.js';
import { codecsOf, loadProto } from './protos.js';
import type { RpcService } from './server/service.js';

// The messages of proto/testbed.proto, which says what each field means. What a sender leaves out arrives as '', 0, false, []
// or null.

export interface DescribeResponse {
  readonly tier: string;
  readonly version: string;
  readonly dataAddress: string;
  readonly metricsAddress: string;
  readonly pid: number;
  readonly environmentJson: string;
  /** Names that it answers to. */
  readonly deployments: readonly string[];
}

export interface FileList {
  readonly sha256: readonly string[];
}

export interface PutFileRequest {
  readonly sha256: string;
  readonly bytes: number;
  readonly chunk: Uint8Array;
}

export interface ModelFile {
  readonly path: string;
  readonly sha256: string;
}

export type SessionMode = 'SESSION_MODE_UNSPECIFIED' | 'WARM' | 'COLD';

export interface NextStage {
  readonly address: string;
  readonly deployment: string;
}

export interface DeployRequest {
  readonly name: string;
  readonly files: readonly ModelFile[];
  readonly sessionMode: SessionMode;
  readonly warmupRuns: number;
  readonly engine: string;
  readonly threads: number;
  readonly next: NextStage | null;
  readonly preprocessJson: string;
  readonly postprocessJson: string;
  readonly graphOptimization: boolean;
  readonly onHopFailure: FailurePolicy | null;
  readonly fallback: readonly LocalStage[];
  readonly encodeJson: string;
  readonly decode: boolean;
  readonly exitJson: string;
  readonly behind: readonly LocalStage[];
}

export type FailureAction = 'FAIL' | 'RETRY' | 'FALLBACK';

export interface FailurePolicy {
  readonly action: FailureAction;
  readonly hopDeadlineMs: number;
  readonly retries: number;
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  readonly seed: number;
}

export interface LocalStage {
  readonly files: readonly ModelFile[];
  readonly preprocessJson: string;
  readonly encodeJson: string;
  readonly decode: boolean;
  readonly exitJson: string;
}

export interface SetFaultRequest {
  readonly fault: string;
  readonly optionsJson: string;
}

export interface DeployResponse {
  readonly engine: string;
  readonly threads: number;
  readonly threadsReason: string;
  readonly loadMs: number;
  readonly warmupMs: number;
}

export interface RunSampleRequest {
  readonly deployment: string;
  readonly itemSha256: string;
  readonly sampleId: string;
  /** How long it may take, in ms; 0: no bound. */
  readonly deadlineMs: number;
}

export interface Hop {
  readonly tier: string;
  readonly upMs: number;
  readonly downMs: number;
  readonly upBytes: number;
  readonly downBytes: number;
  readonly deserialiseMs: number;
  readonly serialiseMs: number;
  readonly preprocessMs: number;
  readonly queueMs: number;
  readonly loadMs: number;
  readonly computeMs: number;
  readonly handoverMs: number;
  readonly stage: number;
  readonly ranStage: boolean;
  readonly failoverMs: number;
  readonly attempts: number;
  readonly fellBack: boolean;
  readonly decodeMs: number;
  readonly encodeMs: number;
  readonly exited: boolean;
}

export interface RunSampleResponse {
  readonly endToEndMs: number;
  readonly hops: readonly Hop[];
  readonly postprocessMs: number;
  readonly otherMs: number;
  readonly prediction: string;
  readonly outputSha256: string;
  readonly startedAtUnixMs: number;
}

export interface CalibrateRequest {
  /** At most so many runs of the calibration job... */
  readonly jobs: number;
  /** ...and for so long, in ms. */
  readonly withinMs: number;
}

export interface CalibrateResponse {
  /** Of each run, in ms. */
  readonly tookMs: readonly number[];
}

const SERVICE = 'tierbed.v1.Node';
const PROTO = 'testbed.proto';
const definition = loadProto(PROTO);

function plain<Request, Response>(name: string): Method<Request, Response> {
  return codecsOf(definition, SERVICE, name);
}

/** The calls of `tierbed.v1.Node` that have one request. */
export const nodeMethods = {
  describe: plain<Empty, DescribeResponse>('Describe'),
  missingFiles: plain<FileList, FileList>('MissingFiles'),
  deploy: plain<DeployRequest, DeployResponse>('Deploy'),
  undeploy: plain<{ readonly name: string }, Empty>('Undeploy'),
  runSample: plain<RunSampleRequest, RunSampleResponse>('RunSample'),
  calibrate: plain<CalibrateRequest, CalibrateResponse>('Calibrate'),
  setFault: plain<SetFaultRequest, Empty>('SetFault'),
};

export const putFile = plain<PutFileRequest, { readonly stored: boolean }>('PutFile');

/** One async function a call; `putFile` takes the chunks as they come and holds the sender back while it works. */
export interface NodeControlHandlers extends HandlersOf<typeof nodeMethods> {
  readonly putFile: Handler<AsyncIterable<PutFileRequest>, { readonly stored: boolean }>;
}

/** The control plane's service, for `startRpcServer`. */
export function nodeControlService(handlers: NodeControlHandlers): RpcService {
  return {
    name: SERVICE,
    proto: PROTO,
    calls: [
      serveUnary(nodeMethods.describe, handlers.describe),
      serveUnary(nodeMethods.missingFiles, handlers.missingFiles),
      serveClientStream(putFile, handlers.putFile),
      serveUnary(nodeMethods.deploy, handlers.deploy),
      serveUnary(nodeMethods.undeploy, handlers.undeploy),
      serveUnary(nodeMethods.runSample, handlers.runSample),
      serveUnary(nodeMethods.calibrate, handlers.calibrate),
      serveUnary(nodeMethods.setFault, handlers.setFault),
    ],
  };
}
