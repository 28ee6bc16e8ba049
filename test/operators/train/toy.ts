// Small models and data to train in a moment: no file, no shared data.

import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silent } from '../../../base/progress.js';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import { initializerTensor } from '../../../onnx/initializer.js';
import type { Model } from '../../../onnx/model.js';
import { float32Values } from '../../../onnx/tensor.js';
import type { Objective, TrainRequest, TrainSettings } from '../../../operators/train/types.js';
import type { Workload, WorkloadItem } from '../../../workloads/types.js';
import { tensorItem, tensorWorkload } from '../../support/tensor-workload.js';

/** x [N, 2] -> Gemm, Relu, Gemm -> scores [N, 3]. */
export function mlp(seed = 1, hidden = 8): Model {
  const g = new GraphBuilder({ name: 'mlp', opset: 18 });
  const random = new Random(seed);
  const weight = (name: string, shape: readonly number[], deviation: number): string => {
    const own = random.fork(name);
    return g.weight(name, shape, () =>
      own.fillNormal(new Float32Array(shape.reduce((a, b) => a * b, 1)), 0, deviation),
    );
  };
  const x = g.input('x', 'float32', ['N', 2]);
  const first = g.node('Gemm', [x, weight('first.weight', [2, hidden], 0.7), weight('first.bias', [hidden], 0.1)]);
  const inner = g.node('Relu', [first]);
  const second = [inner, weight('second.weight', [hidden, 3], 0.5), weight('second.bias', [3], 0.1)];
  g.output(g.node('Gemm', second, {}, 'scores'), 'float32', ['N', 3]);
  return g.build();
}

/** Points around three centres; the class is the centre. */
export function points(count: number, seed: number, prefix: string): WorkloadItem[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, i) => {
    const label = i % 3;
    const angle = (2 * Math.PI * label) / 3;
    const item = tensorItem(`${prefix}${i}`, [
      random.normal(Math.cos(angle), 0.6),
      random.normal(Math.sin(angle), 0.6),
    ]);
    return { ...item, label: String(label) };
  });
}

/** A classification of points: 96 to train on, 60 to tune. */
export function pointWorkload(parts: Partial<Workload> = {}): Workload {
  return tensorWorkload({
    ...{ name: 'points', training: points(96, 1, 'a'), tuning: points(60, 2, 'b'), metric: 'top1' },
    postprocess: { kind: 'argmax', output: 'scores' },
    ...parts,
  });
}

/** The same points as a regression: the label is three numbers, 1 for the class. */
export function numberWorkload(parts: Partial<Workload> = {}): Workload {
  const numbered = (items: readonly WorkloadItem[]): WorkloadItem[] =>
    items.map((item) => ({ ...item, label: [0, 1, 2].map((k) => (item.label === String(k) ? 1 : 0)).join(' ') }));
  return pointWorkload({
    ...{ training: numbered(points(96, 1, 'a')), tuning: numbered(points(60, 2, 'b')), metric: 'mse' },
    postprocess: { kind: 'numbers', output: 'scores' },
    ...parts,
  });
}

/** A request with everything that a test does not care about. */
export async function toyRequest(
  workload: Workload,
  objective: Objective,
  settings: TrainSettings,
  more: Partial<TrainRequest> = {},
): Promise<TrainRequest> {
  return {
    ...{ model: mlp(), workload, objective, settings, batchNorm: 'batch', threads: 1, progress: silent },
    ...{ folder: await newFolder(), signal: new AbortController().signal },
    ...more,
  };
}

/** A new folder for what a training keeps; gone when this process is. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-train-test-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// A test file asks for more folders than Node expects listeners.
process.setMaxListeners(0);

/** The float32 weights of a model by name. */
export function weightsOf({ graph }: Model): Map<string, Float32Array> {
  return new Map(graph.initializers.map((each) => [each.name, float32Values(initializerTensor(each))]));
}
