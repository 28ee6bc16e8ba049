import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { trainableWeights } from '../../../onnx/grad/trainable.js';
import { trainingGraph } from '../../../onnx/grad/training-graph.js';
import type { Model } from '../../../onnx/model.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { type DenseTensor, denseTensor, elementCount, float32Tensor, float32Values } from '../../../onnx/tensor.js';
import { buffersOf, factorsOf } from '../../../operators/qat/simulation.js';
import { weightValues } from '../../../operators/quantise/graph/view.js';
import { picture, text } from '../quantise/own-workload.js';
import { smallCnn, smallTransformer } from '../quantise/small-graphs.js';
import { simulated } from './simulated.js';

const BATCH = 4;

/** The gradients by a model's weights of a random weighting of its output. */
async function gradientsOf(
  model: Model,
  weights: readonly string[],
  buffers: readonly string[],
  input: { readonly name: string; readonly tensor: DenseTensor },
): Promise<ReadonlyMap<string, Float32Array>> {
  const output = model.graph.outputs[0]?.name as string;
  const graph = await trainingGraph(model, {
    ...{ batch: BATCH, weights, buffers, batchNorm: 'frozen' },
    loss: ({ builder, shapeOf }) => {
      const shape = shapeOf(output);
      const by = new Random(6).fillNormal(new Float32Array(elementCount(shape)), 0, 1);
      const weighted = builder.node('Mul', [output, builder.initializer('weighting', float32Tensor(shape, by))]);
      return builder.node('ReduceSum', [weighted], { keepdims: 0 });
    },
  });
  const session = await openModel(graph.model, { threads: 1, fuseQuantised: false });
  const held = model.graph.initializers
    .filter(({ name }) => weights.includes(name) || buffers.includes(name))
    .map((each) => ({ name: each.name, tensor: float32Tensor(each.dims, weightValues(each)) }));
  const results = await session.run([input, ...held]);
  await session.close();
  const found = new Map<string, Float32Array>();
  for (const [weight, gradient] of graph.gradients) {
    if (gradient.kind === 'rows') continue;
    const tensor = results.find(({ name }) => name === gradient.tensor)?.tensor as DenseTensor;
    found.set(weight, float32Values(tensor));
  }
  return found;
}

/** The cosine of the angle between two gradients. */
function cosine(a: Float32Array, b: Float32Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((value, i) => {
    const other = b[i] as number;
    [ab, aa, bb] = [ab + value * other, aa + value * value, bb + other * other];
  });
  return ab / Math.sqrt(aa * bb);
}

function stacked(items: readonly DenseTensor[]): DenseTensor {
  const [first] = items as [DenseTensor];
  const data = Buffer.concat(items.map((item) => item.data));
  return denseTensor(first.dtype, [items.length, ...first.shape.slice(1)], new Uint8Array(data));
}

for (const [name, model, input, item] of [
  ['a CNN', smallCnn, 'x', picture],
  ['a transformer', smallTransformer, 'ids', text],
] as const) {
  for (const ranges of ['moving', 'learned'] as const) {
    test(`the gradients of ${name} with rounding point where those without do: ${ranges}`, async () => {
      const items = Array.from({ length: BATCH }, (_, i) => item(i));
      const { model: float, simulation } = await simulated(model(), input, items, { ranges });
      const weights = trainableWeights(float);
      const factors = factorsOf(simulation);
      const batch = { name: input, tensor: stacked(items) };
      const wanted = await gradientsOf(float, weights, [], batch);
      const found = await gradientsOf(simulation.model, [...weights, ...factors], buffersOf(simulation), batch);
      assert.ok(wanted.size > 8);
      for (const [weight, gradient] of wanted) {
        const other = found.get(weight);
        assert.ok(other, `${weight} has a gradient`);
        if (gradient.every((value) => Math.abs(value) < 1e-4)) continue;
        const same = cosine(gradient, other);
        assert.ok(same > 0.97, `${weight}: ${same}`);
      }
      for (const factor of factors) assert.ok(Number.isFinite(found.get(factor)?.[0]), `${factor} has a gradient`);
    });
  }
}
