import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { silent } from '../../../base/progress.js';
import { Random } from '../../../base/random.js';
import { GraphBuilder, type Value } from '../../../onnx/build.js';
import type { Initializer, Model } from '../../../onnx/model.js';
import { writeModel } from '../../../onnx/write.js';
import { weightValues } from '../../../operators/quantise/graph/view.js';
import { defaultObjective } from '../../../operators/train/default-objective.js';
import { train } from '../../../operators/train/train.js';
import type { Workload, WorkloadItem } from '../../../workloads/types.js';
import { tensorItem, tensorWorkload } from '../../support/tensor-workload.js';

const CLASSES = 4;

/** x [N, 1, 8, 8] -> two convolutions with Relu -> Gemm -> scores [N, 4]. */
function network(): Model {
  const g = new GraphBuilder({ name: 'toy', opset: 18 });
  const random = new Random(11);
  const weight = (name: string, shape: readonly number[], deviation: number): Value => {
    const count = shape.reduce((a, b) => a * b, 1);
    return g.weight(name, shape, () => random.fork(name).fillNormal(new Float32Array(count), 0, deviation));
  };
  const layer = (x: Value, name: string, from: number, to: number): Value => {
    const attributes = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };
    const parts = [x, weight(`${name}.w`, [to, from, 3, 3], 0.4), weight(`${name}.b`, [to], 0.1)];
    return g.node('Relu', [g.node('Conv', parts, attributes, name)], {}, `${name}.relu`);
  };
  const x = g.input('x', 'float32', ['N', 1, 8, 8]);
  const features = layer(layer(x, 'first', 1, 8), 'second', 8, 8);
  const flat = g.node('Flatten', [features], {}, 'flat');
  g.output(
    g.node('Gemm', [flat, weight('head.w', [32, CLASSES], 0.2), weight('head.b', [CLASSES], 0)], {}, 'scores'),
    'float32',
    ['N', CLASSES],
  );
  return g.build();
}

/** Noisy pictures of four patterns. */
function pictures(count: number, seed: number, prefix: string): WorkloadItem[] {
  const random = new Random(seed);
  const patterns = Array.from({ length: CLASSES }, (_, c) => new Random(40 + c).fillNormal(new Float32Array(64), 0, 1));
  return Array.from({ length: count }, (_, i) => {
    const label = i % CLASSES;
    const values = random.fillNormal(new Float32Array(64), 0, 1.6);
    values.forEach((value, at) => {
      values[at] = value + ((patterns[label] as Float32Array)[at] as number);
    });
    return { ...tensorItem(`${prefix}${i}`, values, [1, 1, 8, 8]), label: String(label) };
  });
}

/**
 * A trained network and its data, in a folder that is gone after the test. Channels of the first layer differ in size by
 * up to 300 times, which the second makes up for: one scale for a whole weight then loses most of them.
 */
export async function toyPictures(t: TestContext): Promise<{ workload: Workload; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-qat-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const modelPath = join(folder, 'float.onnx');
  const workload = tensorWorkload({
    ...{ name: 'toy', modelPath, metric: 'top1', postprocess: { kind: 'argmax', output: 'scores' } },
    ...{ training: pictures(480, 1, 'a'), tuning: pictures(200, 2, 'b') },
    ...{ calibration: pictures(40, 3, 'c'), items: pictures(40, 4, 'd') },
  });
  const settings = { epochs: 6, batch: 24, optimizer: { kind: 'adamw', rate: 0.01 } } as const;
  const { model } = await train({
    ...{ model: network(), workload, settings, objective: defaultObjective(workload, settings) },
    ...{ batchNorm: 'batch', threads: 1, folder: join(folder, 'float'), progress: silent },
    signal: new AbortController().signal,
  });
  await writeModel(unbalanced(model), modelPath);
  return { workload, folder };
}

function unbalanced(model: Model): Model {
  const factors = [1, 30, 0.1, 3, 10, 0.3, 20, 0.5];
  const scaled = (each: Initializer): Initializer => {
    const channelOf =
      each.name === 'first.w' || each.name === 'first.b'
        ? (i: number) => factors[Math.floor(i / (each.name === 'first.w' ? 9 : 1))] as number
        : each.name === 'second.w'
          ? (i: number) => 1 / (factors[Math.floor(i / 9) % 8] as number)
          : undefined;
    if (!channelOf) return each;
    const values = weightValues(each).map((value, i) => value * channelOf(i));
    return { ...each, data: { kind: 'raw', bytes: new Uint8Array(values.buffer) } };
  };
  return { ...model, graph: { ...model.graph, initializers: model.graph.initializers.map(scaled) } };
}
