import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clipScale, globalNorm } from '../../../operators/train/global-norm.js';
import { optimizer } from '../../../operators/train/optimizers/index.js';
import { resolveSettings } from '../../../operators/train/settings.js';
import type { OptimizerSpec } from '../../../operators/train/types.js';
import { farthest, torch } from './torch.js';

const SPECS: Readonly<Record<string, OptimizerSpec>> = {
  sgd: { kind: 'sgd', rate: 0.1, momentum: 0 },
  'sgd, momentum': { kind: 'sgd', rate: 0.1, momentum: 0.9, weightDecay: 0.01 },
  'sgd, nesterov': { kind: 'sgd', rate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 },
  adam: { kind: 'adam', rate: 0.05, betas: [0.8, 0.95], epsilon: 1e-6, weightDecay: 0.01 },
  adamw: { kind: 'adamw', rate: 0.05, weightDecay: 0.1 },
};

for (const [name, spec] of Object.entries(SPECS)) {
  test(`${name} takes weights where PyTorch's takes them`, () => {
    const { start, gradients, weights } = torch.optimizers;
    const settings = resolveSettings({ optimizer: spec }).optimizer;
    const chosen = optimizer(settings);
    const weight = Float32Array.from(start);
    const slots = Array.from({ length: chosen.slots }, () => new Float32Array(weight.length));
    for (const [step, gradient] of gradients.entries()) {
      // As clipping does it: the optimiser is given a gradient twice as large, and told so.
      const twice = Float32Array.from(gradient, (value) => 2 * value);
      const { rate, weightDecay: decay } = settings;
      chosen.update(weight, twice, slots, { rate, decay, scale: 0.5, step });
      assert.ok(farthest(weight, weights[name]?.[step] ?? []) < 1e-6, `step ${step}: ${weight}`);
    }
  });
}

test('gradients are clipped by their norm over all weights', () => {
  const { gradients, norm, clipped } = torch.clipping;
  const given = gradients.map((values) => Float32Array.from(values));
  assert.ok(Math.abs(globalNorm(given) - norm) < 1e-5);
  const scale = clipScale(globalNorm(given), 1.5);
  for (const [i, values] of given.entries()) {
    assert.ok(
      farthest(
        values.map((value) => scale * value),
        clipped[i] ?? [],
      ) < 1e-6,
    );
  }
  assert.equal(clipScale(1, 1.5), 1);
  assert.equal(clipScale(100, undefined), 1);
});

test('the norm is not finite where an element is not', () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    for (const place of [0, 3, 6]) {
      const values = new Float32Array(7).fill(1);
      values[place] = bad;
      assert.ok(!Number.isFinite(globalNorm([new Float32Array(3), values])));
    }
  }
});
