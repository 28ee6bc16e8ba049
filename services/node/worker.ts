// The node's inference thread. The runtime's `run` and `create` hold their thread for as long as they take, so they are
// kept off the thread that serves the network. One job at a time, in the order they come.
import { parentPort } from 'node:worker_threads';
import { messageOf, TierbedError } from '../../base/errors.js';
import { decodeTensors, encodeTensors } from '../../onnx/encodings/link-encoding.js';
import type { TensorInfo } from '../../onnx/runtime/tensors.js';
import { ELEMENT_BYTES, elementCount, type NamedTensor, type Tensor } from '../../onnx/tensor.js';
import { type ExitRule, exitAnswer } from '../../workloads/exit-rule.js';
import type { Preprocessor, PreprocessSpec } from '../../workloads/types.js';
import { timeJobs } from './calibration-job.js';
import { elapsedNs, nowNs } from './clock.js';
import type { EngineSession } from './engine.js';
import { engineNamed } from './engines/index.js';
import { transferable } from './transfer.js';
import type { AnswerMessage, CallMessage, CallName, Calls, RunJob, RunResult, SessionSpec } from './worker-messages.js';

const sessions = new Map<string, EngineSession>();
const preprocessors = new Map<string, Preprocessor>();

const handlers: { readonly [K in CallName]: (argument: Calls[K]['argument']) => Promise<Calls[K]['result']> } = {
  run,
  async open(spec) {
    const start = nowNs();
    const session = await kept(spec);
    return { inputs: session.inputs, outputs: session.outputs, loadNs: elapsedNs(start) };
  },
  async warmUp({ key, runs }) {
    const session = sessions.get(key);
    if (!session) throw new TierbedError('internal', `session ${key} is not open`);
    const start = nowNs();
    for (let i = 0; i < runs; i++) await session.run(session.inputs.map(zeros));
    return elapsedNs(start);
  },
  async prepare(spec) {
    await preprocessor(spec);
    return null;
  },
  async close({ key }) {
    const session = sessions.get(key);
    sessions.delete(key);
    await session?.close();
    return null;
  },
  calibrate: async (order) => ({ tookMs: timeJobs(order) }),
  version: async (engine) => (await engineNamed(engine)).version(),
};

const port = parentPort;
if (!port) throw new Error('worker.js runs as a worker thread');
let previous: Promise<unknown> = Promise.resolve();
port.on('message', (message: CallMessage) => {
  previous = previous.then(() => answer(message));
});

async function answer({ id, call, argument }: CallMessage): Promise<void> {
  try {
    const handler = handlers[call] as (argument: unknown) => Promise<Calls[CallName]['result']>;
    const result = await handler(argument);
    const outputs = result !== null && typeof result === 'object' && 'outputs' in result && 'endNs' in result;
    if (!outputs) return send({ id, result }, []);
    const { tensors, transfer } = transferable(result.outputs);
    send({ id, result: { ...result, outputs: tensors, endNs: nowNs() } }, transfer);
  } catch (error) {
    const known = error instanceof TierbedError;
    send(
      {
        id,
        error: {
          kind: known ? error.kind : 'internal',
          message: messageOf(error),
          fix: known ? error.fix : undefined,
        },
      },
      [],
    );
  }
}

function send(message: AnswerMessage, transfer: ArrayBuffer[]): void {
  port?.postMessage(message, transfer);
}

async function run(job: RunJob): Promise<RunResult> {
  const startNs = nowNs();
  let inputs = job.inputs;
  let preprocessNs = 0;
  if (job.item) {
    const preprocess = await preprocessor(job.item.preprocess);
    const from = nowNs();
    inputs = [...(await preprocess(job.item.bytes)), ...inputs];
    preprocessNs = elapsedNs(from);
  }
  const none = { loadNs: 0, decodeNs: 0, computeNs: 0, encodeNs: 0, exited: false };
  if (!job.session) return { outputs: inputs, startNs, preprocessNs, ...none, endNs: nowNs() };

  const { session, loadNs } = await sessionFor(job.session, job.fresh);
  let outputs: readonly NamedTensor[];
  let decodeNs = 0;
  let computeNs: number;
  let encodeNs = 0;
  let exited = false;
  try {
    if (job.decode) {
      const from = nowNs();
      inputs = decodeTensors(inputs, session.inputs);
      decodeNs = elapsedNs(from);
    }
    const from = nowNs();
    outputs = await session.run(inputs);
    if (job.exit) ({ outputs, exited } = decided(job.exit, outputs));
    computeNs = elapsedNs(from);
    if (job.encode && !exited) {
      const from = nowNs();
      outputs = encodeTensors(outputs, job.encode);
      encodeNs = elapsedNs(from);
    }
  } catch (error) {
    if (job.fresh) await session.close();
    throw error;
  }
  const closing = nowNs();
  if (job.fresh) await session.close();
  return {
    outputs,
    startNs,
    preprocessNs,
    loadNs: loadNs + (job.fresh ? elapsedNs(closing) : 0),
    decodeNs,
    computeNs,
    encodeNs,
    exited,
    endNs: nowNs(),
  };
}

/** The answer of an exit that is sure, or what goes on to the next stage: all but the exit's scores. */
function decided(
  rule: ExitRule,
  outputs: readonly NamedTensor[],
): { readonly outputs: readonly NamedTensor[]; readonly exited: boolean } {
  const answer = exitAnswer(rule, outputs);
  if (answer) return { outputs: answer, exited: true };
  return { outputs: outputs.filter(({ name }) => name !== rule.scores), exited: false };
}

async function sessionFor(spec: SessionSpec, fresh: boolean): Promise<{ session: EngineSession; loadNs: number }> {
  const open = fresh ? undefined : sessions.get(spec.key);
  if (open) return { session: open, loadNs: 0 };
  const from = nowNs();
  const session = fresh ? await make(spec) : await kept(spec);
  return { session, loadNs: elapsedNs(from) };
}

/** The session of this spec that is kept open; made again when this thread replaced one that died. */
async function kept(spec: SessionSpec): Promise<EngineSession> {
  const session = sessions.get(spec.key) ?? (await make(spec));
  sessions.set(spec.key, session);
  return session;
}

async function make({ engine, modelPath, threads, graphOptimization }: SessionSpec): Promise<EngineSession> {
  return (await engineNamed(engine)).open(modelPath, { threads, graphOptimization });
}

async function preprocessor(spec: PreprocessSpec): Promise<Preprocessor> {
  const key = JSON.stringify(spec);
  const known = preprocessors.get(key);
  if (known) return known;
  // Loaded when it is needed: decoding pictures takes memory that a node without pictures need not have.
  const { createPreprocessor } = await import('../../workloads/preprocess/index.js');
  const made = createPreprocessor(spec);
  preprocessors.set(key, made);
  return made;
}

function zeros({ name, dtype, shape }: TensorInfo): NamedTensor {
  const dims = shape.map((dim) => (typeof dim === 'number' ? dim : 1));
  if (dtype === 'string') {
    return { name, tensor: { dtype, shape: dims, data: Array(elementCount(dims)).fill(new Uint8Array()) } };
  }
  const size = (ELEMENT_BYTES as Readonly<Record<string, number>>)[dtype];
  if (size === undefined) throw new TierbedError('invalid', `input "${name}" is ${dtype}, which cannot be sent`);
  return { name, tensor: { dtype, shape: dims, data: new Uint8Array(elementCount(dims) * size) } as Tensor };
}
