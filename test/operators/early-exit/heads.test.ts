import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import { float32Tensor } from '../../../onnx/tensor.js';
import { addHead, fitHead, likeliestScale, scoresOf } from '../../../operators/early-exit/heads.js';
import type { Samples } from '../../../workloads/ridge.js';
import { close, numbers, outputsOf } from './support.js';

/** Rows of `d` features, of which feature k says something of class k. */
function samples(seed: number, n: number, d: number, classes: number): Samples {
  const random = new Random(seed);
  const own = Array.from({ length: n }, (_, i) => i % classes);
  const features = Float32Array.from({ length: n * d }, (_, i) =>
    random.normal(own[Math.floor(i / d)] === i % d ? 1.2 : 0),
  );
  return { features, classes: own };
}

/** Mean log-likelihood of the classes under softmax of scaled scores, written out. */
function likelihood(scores: Float64Array, classes: readonly number[], count: number, scale: number): number {
  const each = classes.map((own, row) => {
    const exponentials = Array.from(scores.subarray(row * count, (row + 1) * count), (s) => Math.exp(scale * s));
    return Math.log((exponentials[own] as number) / exponentials.reduce((a, b) => a + b, 0));
  });
  return each.reduce((a, b) => a + b, 0) / each.length;
}

test('the scale makes the classes as likely as a search over a grid finds', () => {
  for (const seed of [1, 2, 3]) {
    const random = new Random(seed);
    const classes = Array.from({ length: 80 }, () => random.integer(4));
    const scores = Float64Array.from({ length: 320 }, (_, i) => {
      return random.normal(classes[Math.floor(i / 4)] === i % 4 ? 0.3 : 0, 0.2);
    });
    const scale = likeliestScale(scores, classes, 4);
    let [best, at] = [Number.NEGATIVE_INFINITY, 0];
    for (let candidate = 0.1; candidate < 50; candidate *= 1.01) {
      const value = likelihood(scores, classes, 4, candidate);
      if (value > best) [best, at] = [value, candidate];
    }
    assert.ok(Math.abs(Math.log(scale / at)) < 0.011, `${scale}, and the grid has ${at}`);
    assert.ok(likelihood(scores, classes, 4, scale) >= best);
  }
});

test('scores that are all right are made large, and those that say nothing small, within bounds', () => {
  const classes = [0, 1, 0, 1];
  assert.ok(likeliestScale(Float64Array.of(1, 0, 0, 1, 1, 0, 0, 1), classes, 2) > 30);
  assert.ok(likeliestScale(Float64Array.of(0, 1, 1, 0, 0, 1, 1, 0), classes, 2) < 0.11);
});

test('a head does as well on the tuning items as it says, and better than chance', () => {
  const [fit, tune] = [samples(1, 120, 5, 3), samples(2, 90, 5, 3)];
  const { head, accuracy } = fitHead(fit, tune, 3);
  const scores = scoresOf(head, tune);
  const right = tune.classes.filter((own, row) => {
    const mine = Array.from(scores.subarray(3 * row, 3 * row + 3));
    return mine.indexOf(Math.max(...mine)) === own;
  });
  assert.equal(accuracy, right.length / 90);
  assert.ok(accuracy > 0.6, `${accuracy}`);
  // As logits they are as likely as can be already.
  assert.ok(Math.abs(likeliestScale(scores, tune.classes, 3) - 1) < 1e-3);
});

test('of strengths that do equally well the strongest is kept', () => {
  // Far apart: whatever the strength, all items are right.
  const easy: Samples = { features: Float32Array.of(0, 0, 9, 9), classes: [0, 0, 1, 1] };
  assert.equal(fitHead(easy, easy, 2).lambda, 1);
});

test('in the graph a head gives the scores that it was chosen by', async () => {
  const tune = samples(4, 12, 5, 3);
  const { head } = fitHead(samples(3, 60, 5, 3), tune, 3);
  const g = new GraphBuilder({ name: 'head' });
  const scores = addHead(g, g.input('x', 'float32', ['N', 5]), { head }, 'exit');
  g.output(scores, 'float32', ['N', 3]);
  const found = await outputsOf(g.build(), [{ name: 'x', tensor: float32Tensor([12, 5], tune.features) }]);
  assert.ok(close(numbers(found.get(scores)), [...scoresOf(head, tune)]));
});
