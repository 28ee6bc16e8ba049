import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crossEntropy } from '../../../operators/train/cross-entropy.js';
import { meanSquaredError } from '../../../operators/train/mean-squared-error.js';
import { train } from '../../../operators/train/train.js';
import { numberWorkload, pointWorkload, toyRequest, weightsOf } from './toy.js';

test('a regression is learnt, and its curve falls', async () => {
  const workload = numberWorkload();
  const settings = { epochs: 8, batch: 16, optimizer: { kind: 'adamw', rate: 0.02 } } as const;
  const { curve, model } = await train(await toyRequest(workload, meanSquaredError(workload), settings));
  assert.equal(curve.length, 8);
  assert.ok((curve.at(-1)?.loss ?? 1) < 0.19, JSON.stringify(curve));
  assert.ok((curve.at(-1)?.tuning ?? 1) < 0.17, JSON.stringify(curve));
  assert.ok(weightsOf(model).get('first.weight')?.every(Number.isFinite));
});

test('a classification is learnt with each optimiser', async () => {
  const workload = pointWorkload();
  for (const optimizer of [
    { kind: 'sgd', rate: 0.1 },
    { kind: 'sgd', rate: 0.1, nesterov: true, weightDecay: 0.001 },
    { kind: 'adam', rate: 0.02 },
    { kind: 'adamw', rate: 0.02 },
  ] as const) {
    const settings = { epochs: 6, batch: 16, optimizer };
    const { curve } = await train(
      await toyRequest(workload, crossEntropy(workload, { labelSmoothing: 0.1 }), settings),
    );
    assert.ok((curve.at(-1)?.tuning ?? 0) > 0.75, JSON.stringify([optimizer, curve]));
  }
});
