import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { crossEntropy } from '../../../operators/train/cross-entropy.js';
import { train } from '../../../operators/train/train.js';
import { tensorItem, tensorWorkload } from '../../support/tensor-workload.js';
import { farthest, torch } from './torch.js';
import { toyRequest, weightsOf } from './toy.js';

/** The names of PyTorch's nn.Sequential. */
function network(): Model {
  const { start } = torch.training;
  const g = new GraphBuilder({ name: 'reference', opset: 17 });
  const weight = (name: string, shape: readonly number[]): string =>
    g.weight(name, shape, () => Float32Array.from(start[name] as readonly number[]));
  const x = g.input('x', 'float32', ['N', 1, 5, 5]);
  const conv = g.node('Conv', [x, weight('0.weight', [4, 1, 3, 3]), weight('0.bias', [4])], { pads: [1, 1, 1, 1] });
  const statistics = ['1.weight', '1.bias', '1.running_mean', '1.running_var'].map((name) => weight(name, [4]));
  const active = g.node('Relu', [g.node('BatchNormalization', [conv, ...statistics])]);
  const flat = g.node('Flatten', [g.node('GlobalAveragePool', [active])]);
  const scores = g.node('Gemm', [flat, weight('5.weight', [3, 4]), weight('5.bias', [3])], { transB: 1 }, 'scores');
  g.output(scores, 'float32', ['N', 3]);
  return g.build();
}

test('a training goes where that of PyTorch goes: losses, weights and running statistics', async () => {
  const { x, y, losses, end } = torch.training;
  const training = x.map((values, i) => ({ ...tensorItem(`${i}`, values, [1, 1, 5, 5]), label: String(y[i]) }));
  const workload = tensorWorkload({ training, metric: 'top1', postprocess: { kind: 'argmax', output: 'scores' } });
  const settings = {
    ...{ epochs: 8, batch: 12, clipNorm: 0.5 },
    optimizer: { kind: 'adamw', rate: 0.02, weightDecay: 0.1 },
    schedule: { kind: 'cosine' },
  } as const;
  const objective = crossEntropy(workload, { labelSmoothing: 0.1 });
  const { model, curve } = await train(await toyRequest(workload, objective, settings, { model: network() }));
  assert.ok(
    farthest(
      curve.map(({ loss }) => loss),
      losses,
    ) < 1e-5,
    JSON.stringify(curve),
  );
  const weights = weightsOf(model);
  for (const [name, values] of Object.entries(end)) {
    // The bias before a BatchNorm has a gradient of nothing but rounding, which Adam makes steps of.
    const limit = name === '0.bias' || name === '1.running_mean' ? 0.2 : 1e-4;
    assert.ok(farthest(weights.get(name) ?? [], values) < limit, `${name}: ${weights.get(name)} / ${values}`);
  }
});
