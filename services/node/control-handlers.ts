import { messageOf, TierbedError } from '../../base/errors.js';
import { version } from '../../base/paths.js';
import type { PostprocessSpec, PreprocessSpec } from '../../workloads/types.js';
import type { CallContext } from '../rpc/method.js';
import type {
  CalibrateRequest,
  DeployRequest,
  Hop,
  LocalStage,
  NodeControlHandlers,
  FailurePolicy as PolicyMessage,
  PutFileRequest,
  RunSampleResponse,
} from '../rpc/node-control.js';
import type { CalibrationOrder } from './calibration-job.js';
import { toMs } from './clock.js';
import { withDeadline } from './deadline.js';
import type { DeploySpec, LocalStageSpec } from './deployments.js';
import { encodingSpec } from './encoding-spec.js';
import type { NodeEnvironment } from './environment.js';
import { exitRule } from './exit-spec.js';
import { FAIL, type FailurePolicy } from './failure-policy.js';
import type { NodeFaults } from './faults/index.js';
import type { HopRecord } from './hops.js';
import type { NodeMetrics, Outcome } from './metrics.js';
import { runSample, type Sample, type SampleContext } from './sample.js';

/** What the control plane answers from. */
export interface ControlContext extends SampleContext {
  readonly metrics: NodeMetrics;
  /** Of the node's other servers, host:port. */
  readonly addresses: { readonly data: string; readonly metrics: string };
  environment(): Promise<NodeEnvironment>;
  /** Runs the calibration job when the inference thread is free. */
  calibrate(order: CalibrationOrder): Promise<{ readonly tookMs: readonly number[] }>;
  readonly faults: NodeFaults;
}

/** The calls of proto/testbed.proto. */
export function controlHandlers(context: ControlContext): NodeControlHandlers {
  const { store, deployments } = context;
  return {
    describe: async () => {
      const environment = await context.environment();
      return {
        tier: context.tier,
        version,
        dataAddress: context.addresses.data,
        metricsAddress: context.addresses.metrics,
        pid: process.pid,
        environmentJson: JSON.stringify(environment),
        deployments: deployments.list().map(({ name }) => name),
      };
    },
    missingFiles: async ({ sha256 }) => ({ sha256: await store.missing(sha256) }),
    putFile: async (messages) => ({ stored: await putFile(context, messages) }),
    deploy: (request) => deployments.deploy(deploySpec(request)),
    undeploy: async ({ name }) => {
      await deployments.undeploy(name);
      return {};
    },
    calibrate: (request) => context.calibrate(checkedOrder(request)),
    runSample: async ({ deployment, itemSha256, sampleId, deadlineMs }, call) => {
      const run = (within: CallContext) => runSample(context, deployment, itemSha256, sampleId, within);
      return response(await counted(context.metrics, () => withDeadline(call, deadlineMs, run)));
    },
    setFault: async ({ fault, optionsJson }) => {
      await context.faults.set(fault, optionsJson);
      return {};
    },
  };
}

/** Counts a sample as it ends. */
async function counted(metrics: NodeMetrics, run: () => Promise<Sample>): Promise<Sample> {
  let status: Outcome = 'internal';
  let sample: Sample | undefined;
  try {
    sample = await run();
    status = 'ok';
    return sample;
  } catch (error) {
    if (error instanceof TierbedError) status = error.kind;
    throw error;
  } finally {
    // Counted when the answer is on its way: nobody has to wait for that.
    setImmediate(() => metrics.sample(status, sample?.hops[0]));
  }
}

async function putFile({ store }: ControlContext, messages: AsyncIterable<PutFileRequest>): Promise<boolean> {
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) throw new TierbedError('invalid', 'PutFile came without a message');
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      yield first.value.chunk;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value.chunk;
    } finally {
      await iterator.return?.();
    }
  }
  return store.put(first.value.sha256, first.value.bytes, chunks());
}

/** @throws TierbedError `invalid` for a field that makes no sense */
function deploySpec(request: DeployRequest): DeploySpec {
  if (request.files.length > 0 && request.sessionMode === 'SESSION_MODE_UNSPECIFIED') {
    throw new TierbedError(
      'invalid',
      `deployment "${request.name}" does not say whether its sessions are warm or cold`,
      {
        fix: 'Set session_mode to WARM or COLD.',
      },
    );
  }
  return {
    name: request.name,
    files: request.files,
    mode: request.sessionMode === 'COLD' ? 'cold' : 'warm',
    warmupRuns: request.warmupRuns,
    engine: request.engine,
    threads: request.threads,
    next: request.next ?? undefined,
    preprocess: parseSpec<PreprocessSpec>('preprocess_json', request.preprocessJson),
    postprocess: parseSpec<PostprocessSpec>('postprocess_json', request.postprocessJson),
    graphOptimization: request.graphOptimization,
    failure: failurePolicy(request.onHopFailure),
    encode: encodingSpec(request.encodeJson),
    decode: request.decode,
    exit: exitRule(request.exitJson),
    fallback: request.fallback.map(localStage),
    behind: request.behind.map(localStage),
  };
}

function localStage({ files, preprocessJson, encodeJson, decode, exitJson }: LocalStage): LocalStageSpec {
  return {
    files,
    preprocess: parseSpec<PreprocessSpec>('preprocess_json', preprocessJson),
    encode: encodingSpec(encodeJson),
    exit: exitRule(exitJson),
    decode,
  };
}

/** Nobody is to keep the inference thread for long. */
const MAX_CALIBRATION_MS = 60_000;

/** @throws TierbedError `invalid` */
function checkedOrder({ jobs, withinMs }: CalibrateRequest): CalibrationOrder {
  if (jobs >= 1 && withinMs > 0 && withinMs <= MAX_CALIBRATION_MS) return { jobs, withinMs };
  throw new TierbedError('invalid', `a calibration of ${jobs} jobs within ${withinMs} ms`, {
    fix: `Ask for at least 1 job, within ${MAX_CALIBRATION_MS} ms at most.`,
  });
}

/** @throws TierbedError `invalid` for times below 0 */
function failurePolicy(policy: PolicyMessage | null): FailurePolicy {
  if (!policy) return FAIL;
  const { hopDeadlineMs, backoffMs, maxBackoffMs } = policy;
  for (const [key, value] of Object.entries({ hopDeadlineMs, backoffMs, maxBackoffMs })) {
    if (!(value >= 0)) throw new TierbedError('invalid', `on_hop_failure has ${key} ${value}: not a time`);
  }
  return { ...policy, action: policy.action.toLowerCase() as FailurePolicy['action'] };
}

function parseSpec<T extends { readonly kind: string }>(field: string, json: string): T | undefined {
  if (json === '') return undefined;
  let spec: unknown;
  try {
    spec = JSON.parse(json);
  } catch (error) {
    throw new TierbedError('invalid', `${field} is not JSON: ${messageOf(error)}`);
  }
  if (typeof spec === 'object' && spec !== null && 'kind' in spec && typeof spec.kind === 'string') return spec as T;
  throw new TierbedError('invalid', `${field} is not an object with a "kind"`);
}

function response(sample: Sample): RunSampleResponse {
  return {
    endToEndMs: sample.endToEndMs,
    hops: sample.hops.map(hopMessage),
    postprocessMs: sample.postprocessMs,
    otherMs: sample.otherMs,
    prediction: sample.prediction,
    outputSha256: sample.outputSha256,
    startedAtUnixMs: sample.startedAtMs,
  };
}

function hopMessage(hop: HopRecord): Hop {
  return {
    tier: hop.tier,
    stage: hop.stage,
    ranStage: hop.ranStage,
    upMs: toMs(hop.upNs),
    downMs: toMs(hop.downNs),
    upBytes: hop.upBytes,
    downBytes: hop.downBytes,
    deserialiseMs: toMs(hop.deserialiseNs),
    serialiseMs: toMs(hop.serialiseNs),
    preprocessMs: toMs(hop.preprocessNs),
    queueMs: toMs(hop.queueNs),
    loadMs: toMs(hop.loadNs),
    computeMs: toMs(hop.computeNs),
    decodeMs: toMs(hop.decodeNs),
    encodeMs: toMs(hop.encodeNs),
    handoverMs: toMs(hop.handoverNs),
    failoverMs: toMs(hop.failoverNs),
    attempts: hop.attempts,
    fellBack: hop.fellBack,
    exited: hop.exited,
  };
}
