import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { crossEntropy } from '../../../operators/train/cross-entropy.js';
import { decayingWeights } from '../../../operators/train/decay.js';
import { train } from '../../../operators/train/train.js';
import type { TrainPlugin } from '../../../operators/train/types.js';
import { mlp, pointWorkload, toyRequest, weightsOf } from './toy.js';

/** x [N, 2] -> (weight * mask) -> scores [N, 3]. */
function masked(): Model {
  const g = new GraphBuilder({ name: 'masked', opset: 18 });
  const x = g.input('x', 'float32', ['N', 2]);
  const weight = g.weight('weight', [2, 3], () => Float32Array.of(0.1, -0.2, 0.3, 0.1, 0.2, -0.3));
  const mask = g.weight('mask', [2, 3], () => new Float32Array(6).fill(1));
  const kept = g.node('Mul', [weight, mask], {}, 'kept');
  g.output(g.node('MatMul', [x, kept], {}, 'scores'), 'float32', ['N', 3]);
  return g.build();
}

test('a plugin sees tensors, changes buffers and gradients, and its buffers are in the model', async () => {
  const seen: string[] = [];
  const plugin: TrainPlugin = {
    ...{ name: 'masks', outputs: ['kept'], buffers: ['mask'] },
    beforeUpdate({ step, gradients, outputs, weights }) {
      if (step === 0)
        seen.push([...gradients.keys()].join(), String(outputs.get('kept')?.shape), [...weights.keys()].join());
      gradients.get('weight')?.fill(0, 3);
    },
    afterUpdate({ weights, loss, learningRate, epoch, steps }) {
      (weights.get('mask') as Float32Array)[1] = 0;
      if (seen.length === 3) seen.push(String([loss > 0, learningRate > 0, epoch, steps]));
    },
  };
  const workload = pointWorkload();
  const settings = { epochs: 2, batch: 32, optimizer: { kind: 'sgd', rate: 0.1, momentum: 0 } } as const;
  const request = await toyRequest(workload, crossEntropy(workload), settings, { model: masked(), plugins: [plugin] });
  const weights = weightsOf((await train(request)).model);
  assert.deepEqual(seen, ['weight', '2,3', 'weight,mask', 'true,true,0,6']);
  assert.deepEqual(weights.get('mask'), Float32Array.of(1, 0, 1, 1, 1, 1));
  assert.deepEqual(weights.get('weight')?.subarray(3), Float32Array.of(0.1, 0.2, -0.3));
  assert.notEqual(weights.get('weight')?.[0], Math.fround(0.1));
});

test('with patience, no epoch counts as best before plugins say that the weights are what is wanted', async () => {
  const workload = pointWorkload();
  const settings = { epochs: 6, batch: 16, patience: 6, optimizer: { kind: 'adamw', rate: 0.05 } } as const;
  const late: TrainPlugin = { name: 'late', settled: (step, steps) => step === steps };
  const { facts } = await train(await toyRequest(workload, crossEntropy(workload), settings, { plugins: [late] }));
  assert.equal((facts.best as { epoch: number }).epoch, 6);
});

test('biases do not decay, nor what patterns name', () => {
  const names = ['first.weight', 'first.bias', 'second.weight', 'second.bias'];
  assert.deepEqual([...decayingWeights(mlp(), names, undefined)], ['first.weight', 'second.weight']);
  assert.deepEqual([...decayingWeights(mlp(), names, ['first.*'])], ['second.weight', 'second.bias']);
  assert.throws(() => decayingWeights(mlp(), names, ['third.*']), {
    kind: 'invalid',
    message: /noDecay: no weight is called 'third\.\*'/,
  });
});
