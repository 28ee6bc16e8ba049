import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { trainingGraph } from '../../../onnx/grad/training-graph.js';
import { initializerTensor } from '../../../onnx/initializer.js';
import { denseTensor, float32Values, type NamedTensor } from '../../../onnx/tensor.js';
import { addRows } from '../../../operators/train/add-rows.js';
import { moveStatistics, TrainingStep } from '../../../operators/train/step.js';

/** ids [N, 3] -> rows of two tables, one of them at fixed places, summed with two vectors -> y [N, 3, 2]. */
function tables() {
  const g = new GraphBuilder({ name: 'tables', opset: 18 });
  const weight = (name: string, shape: readonly number[], first: number): string =>
    g.weight(name, shape, () =>
      Float32Array.from({ length: (shape[0] as number) * (shape[1] ?? 1) }, (_, i) => Math.sin(first + i)),
    );
  const ids = g.input('ids', 'int64', ['N', 3]);
  const words = g.node('Gather', [weight('words', [5, 2], 0), ids]);
  const places = g.node('Gather', [weight('places', [4, 2], 20), g.int64([2, 0, 2])]);
  const both = g.node('Add', [weight('u', [2], 40), weight('v', [2], 50)]);
  const sum = g.node('Add', [g.node('Add', [words, places]), both], {}, 'sum');
  g.output(g.node('Mul', [sum, sum], {}, 'y'), 'float32', ['N', 3, 2]);
  return g.build();
}

const IDS: NamedTensor = {
  name: 'ids',
  tensor: denseTensor('int64', [2, 3], new Uint8Array(BigInt64Array.of(1n, 3n, 1n, -1n, 0n, 3n).buffer)),
};

test('gradients of tables, of fixed rows and of weights that share one are those of differences', async () => {
  const model = tables();
  const weights = ['words', 'places', 'u', 'v'];
  const graph = await trainingGraph(model, {
    ...{ batch: 2, weights, batchNorm: 'batch', outputs: ['sum'] },
    loss: ({ builder }) => builder.node('ReduceSum', ['y'], { keepdims: 0 }),
  });
  const arrays = new Map(
    weights.map((name) => {
      const initializer = model.graph.initializers.find((each) => each.name === name);
      return [name, Float32Array.from(float32Values(initializerTensor(initializer as never)))];
    }),
  );
  const step = await TrainingStep.open({ graph, arrays, outputs: ['sum'], threads: 1 });
  try {
    await step.run([IDS]);
    const gradients = new Map([...step.gradients].map(([name, values]) => [name, Float32Array.from(values)]));
    assert.deepEqual(step.outputs.get('sum')?.shape, [2, 3, 2]);
    const delta = 1e-2;
    for (const [name, values] of arrays) {
      for (let i = 0; i < values.length; i++) {
        const kept = values[i] as number;
        values[i] = kept + delta;
        const above = await step.run([IDS]);
        values[i] = kept - delta;
        const below = await step.run([IDS]);
        values[i] = kept;
        const found = gradients.get(name)?.[i] as number;
        assert.ok(Math.abs(found - (above - below) / (2 * delta)) < 1e-2, `${name}[${i}]: ${found}`);
      }
    }
    await step.run([IDS]);
    for (const [name, values] of gradients) assert.deepEqual(step.gradients.get(name), values, name);
  } finally {
    await step.close();
  }
});

test('rows are added where they were picked, and a row outside is a defect', () => {
  const table = new Float32Array(6);
  const indices = denseTensor('int32', [3], new Uint8Array(Int32Array.of(2, -3, 2).buffer));
  addRows(table, 2, indices, Float32Array.of(1, 2, 3, 4, 5, 6), 'table');
  assert.deepEqual(table, Float32Array.of(3, 4, 0, 0, 6, 8));
  const outside = denseTensor('int32', [1], new Uint8Array(Int32Array.of(3).buffer));
  assert.throws(() => addRows(table, 2, outside, Float32Array.of(1, 2), 'table'), {
    kind: 'internal',
    message: /table has no row 3/,
  });
});

test("running statistics move by ONNX's momentum, with the batch's variance unbiased", () => {
  const running = new Map([
    ['mean', Float32Array.of(1)],
    ['variance', Float32Array.of(2)],
  ]);
  const statistics = { mean: 'mean', variance: 'variance', batchMean: '', batchVariance: '', momentum: 0.75, count: 5 };
  moveStatistics(statistics, running, Float32Array.of(5), Float32Array.of(4));
  assert.deepEqual([running.get('mean')?.[0], running.get('variance')?.[0]], [2, 0.75 * 2 + 0.25 * 5]);
});
