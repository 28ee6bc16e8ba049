import { stat } from 'node:fs/promises';
import { type Progress, silent } from '../../base/progress.js';
import { writeModel } from '../../onnx/write.js';
import { type Architecture, parametersOf } from './architectures.js';
import { freshWeights } from './fresh-weights.js';
import { parameterCount } from './network.js';
import type { NetworkOptions } from './options.js';
import { randomWeights, safetensorsWeights } from './weights.js';

export interface BuildOptions {
  /** Path of a `.safetensors` file; without one the weights are random. */
  readonly weights?: string;
  /** Of the random weights; 0 unless told. */
  readonly seed?: number;
  /** Random weights are those that training begins with. */
  readonly fresh?: boolean;
  /** What is other than published. */
  readonly network?: NetworkOptions;
  readonly progress?: Progress;
}

export interface BuiltFile {
  readonly path: string;
  readonly bytes: number;
  readonly parameters: number;
}

/**
 * Builds a network of the zoo into an ONNX file.
 *
 * @throws TierbedError as `safetensorsWeights`, `writeModel` and the network's `build` do
 */
export async function buildFile(network: Architecture, path: string, options: BuildOptions = {}): Promise<BuiltFile> {
  const { seed = 0, fresh = false, progress = silent } = options;
  const parameters = parametersOf(network, options.network);
  const random = fresh ? freshWeights(seed) : randomWeights(seed);
  const weights = options.weights ? safetensorsWeights(options.weights, parameters) : random;
  const { model } = network.build(weights, options.network);
  const { initializers } = model.graph;
  progress.start(`${network.name}: weights`, initializers.length);
  try {
    for (const [i, initializer] of initializers.entries()) {
      // Reading the bytes makes them; the loop breathes in between, so that progress and Ctrl-C get through.
      void initializer.data;
      progress.update(i + 1, initializer.name);
      if (i % 16 === 15) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    progress.update(initializers.length, 'writing');
    await writeModel(model, path);
  } finally {
    progress.stop();
  }
  const { size: bytes } = await stat(path);
  return { path, bytes, parameters: parameterCount(parameters) };
}
