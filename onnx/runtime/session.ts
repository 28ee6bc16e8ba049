import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { undoOnExit } from '../../base/clean-up.js';
import type { Model } from '../model.js';
import type { NamedTensor } from '../tensor.js';
import { writeModel } from '../write.js';
import {
  fromOrt,
  type OrtMetadata,
  ortTensors,
  requireAll,
  runtimeError,
  type TensorInfo,
  tensorInfos,
  toOrt,
} from './tensors.js';

/** How a model is opened for work on it: to calibrate, to evaluate, to profile. Nodes have engines of their own. */
export interface OpenOptions {
  /** Threads of one operator; 0, the default, is one for each processor. */
  readonly threads?: number;
  /** false: idle threads sleep at once, as in a node; else they spin for a while, as the runtime has it. */
  readonly spinning?: boolean;
  /** false: every graph optimisation off. */
  readonly graphOptimization?: boolean;
  /** Where the runtime writes what its optimisation made of the model. */
  readonly optimizedPath?: string;
  /** false: what a run takes in memory is not laid out beforehand from the run before: less is taken, at no cost in time. */
  readonly planMemory?: boolean;
  /** false: QuantizeLinear and DequantizeLinear stay nodes of their own, as simulated quantisation needs them. */
  readonly fuseQuantised?: boolean;
  /** Records every node's time; `endProfile` gives the file, whose name begins with this. */
  readonly profilePrefix?: string;
}

/** A model that is open in this process. */
export interface ModelSession {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /**
   * @param wanted names of the outputs; all, in the model's order, unless said otherwise
   * @throws TierbedError `invalid` on a wrong name, type or shape, and when the runtime fails
   */
  run(inputs: readonly NamedTensor[], wanted?: readonly string[]): Promise<readonly NamedTensor[]>;
  /**
   * Ties inputs and outputs to memory, once: runs read the ones and write the others in place. Memory must be aligned to
   * its elements.
   *
   * @returns a run, which takes the other inputs and gives those outputs that are asked for and not tied
   * @throws TierbedError as `run`
   */
  bind(
    inputs: readonly NamedTensor[],
    outputs: readonly NamedTensor[],
    wanted?: readonly string[],
  ): (inputs: readonly NamedTensor[]) => Promise<readonly NamedTensor[]>;
  /** Stops profiling, which writes the profile. */
  endProfile(): void;
  close(): Promise<void>;
}

/**
 * Opens a model on the CPU with stock ONNX Runtime: by its path, or as data.
 *
 * @throws TierbedError `invalid` when the runtime refuses it
 */
export async function openModel(model: string | Model, options: OpenOptions = {}): Promise<ModelSession> {
  if (typeof model === 'string') return openFile(model, options);
  // By way of files, weights in one of their own: the runtime maps it, and the bytes are not in memory twice.
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-model-'));
  const forget = undoOnExit(() => rmSync(folder, { recursive: true, force: true }));
  try {
    const path = join(folder, 'model.onnx');
    // What the runtime makes of it would name that file, which does not stay.
    await writeModel(model, path, options.optimizedPath === undefined ? { external: 'always' } : {});
    return await openFile(path, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
    forget();
  }
}

async function openFile(path: string, options: OpenOptions): Promise<ModelSession> {
  const { threads = 0, spinning = true, graphOptimization = true, planMemory = true, fuseQuantised = true } = options;
  const { optimizedPath, profilePrefix } = options;
  // Loaded when it is needed: whoever only looks at a model does not wait for the runtime.
  const { InferenceSession, Tensor } = await import('onnxruntime-node');
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(path, {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: graphOptimization ? 'all' : 'disabled',
      enableMemPattern: planMemory,
      logSeverityLevel: 4,
      extra: {
        session: {
          ...(!spinning && { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } }),
          ...(!fuseQuantised && { disable_quant_qdq: '1' }),
        },
      },
      ...(optimizedPath !== undefined && { optimizedModelFilePath: optimizedPath }),
      ...(profilePrefix !== undefined && { enableProfiling: true, profileFilePrefix: profilePrefix }),
    });
  } catch (error) {
    throw runtimeError('the model could not be opened', error);
  }
  try {
    return wrapped(session, Tensor);
  } catch (error) {
    await session.release();
    throw error;
  }
}

function wrapped(session: InferenceSession, OwnTensor: typeof Tensor): ModelSession {
  const inputs = tensorInfos(session.inputMetadata as readonly OrtMetadata[]);
  const outputs = tensorInfos(session.outputMetadata as readonly OrtMetadata[]);
  const names = outputs.map(({ name }) => name);
  return {
    inputs,
    outputs,
    async run(tensors, wanted = names) {
      const feeds = toOrt(tensors, inputs);
      try {
        const results = await session.run(feeds, wanted);
        return wanted.map((name) => fromOrt(name, results[name] as Parameters<typeof fromOrt>[1]));
      } catch (error) {
        throw runtimeError('the model could not be run', error);
      }
    },
    bind(fixed, tied, others = []) {
      const feeds = ortTensors(fixed, inputs);
      const fetches: Record<string, Tensor | null> = {};
      for (const [name, { type, data, dims }] of Object.entries(ortTensors(tied, outputs, 'output'))) {
        // The runtime writes to tensors of its own class alone, and onnxruntime-common is in the process twice.
        fetches[name] = new OwnTensor(type as 'float32', data as Float32Array, dims);
      }
      for (const name of others) fetches[name] = null;
      return async (tensors) => {
        Object.assign(feeds, ortTensors(tensors, inputs));
        requireAll(feeds, inputs);
        try {
          const results = await session.run(feeds, fetches);
          return others.map((name) => fromOrt(name, results[name] as Parameters<typeof fromOrt>[1]));
        } catch (error) {
          throw runtimeError('the model could not be run', error);
        }
      };
    },
    endProfile: () => session.endProfiling(),
    close: () => session.release(),
  };
}
