import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../base/random.js';
import { headAccuracy, ridge } from '../../workloads/ridge.js';

describe('ridge regression', () => {
  it('solves the normal equations', () => {
    const random = new Random(1);
    const [n, d, classes] = [60, 5, 3];
    const features = Float32Array.from({ length: n * d }, (_, i) => random.normal(i % d, 1 + (i % d)));
    const labels = Array.from({ length: n }, () => random.integer(classes));
    const lambda = 0.2;
    const { weights, bias } = ridge({ features, classes: labels }, classes)(lambda);
    // The gradient of the mean squared error plus lambda times the squared weights of the standardised features is 0.
    for (let k = 0; k < classes; k++) {
      const residual = labels.map((label, row) => {
        let score = bias[k] as number;
        for (let j = 0; j < d; j++) score += (weights[k * d + j] as number) * (features[row * d + j] as number);
        return score - (label === k ? 1 : 0);
      });
      assert.ok(Math.abs(residual.reduce((sum, r) => sum + r, 0)) < 1e-9, 'bias');
      for (let j = 0; j < d; j++) {
        const column = labels.map((_, row) => features[row * d + j] as number);
        const mean = column.reduce((sum, v) => sum + v, 0) / n;
        const variance = column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / n;
        const slope = column.reduce((sum, v, row) => sum + (v - mean) * (residual[row] as number), 0) / n;
        assert.ok(Math.abs(slope + lambda * variance * (weights[k * d + j] as number)) < 1e-9, `weight ${k}, ${j}`);
      }
    }
  });

  it('gives a feature that never changes no weight, and tells classes apart', () => {
    const features = Float32Array.from([0, 7, 1, 7, 10, 7, 11, 7]);
    const samples = { features, classes: [0, 0, 1, 1] };
    const head = ridge(samples, 2)(0.01);
    assert.equal(head.weights[1], 0);
    assert.equal(headAccuracy(head, samples), 1);
    assert.equal(headAccuracy(head, { features, classes: [1, 1, 0, 0] }), 0);
  });
});
