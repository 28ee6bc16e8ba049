import assert from 'node:assert/strict';
import { test } from 'node:test';
import { denseTensor, float32Tensor, type NamedTensor } from '../../onnx/tensor.js';
import {
  CONFIDENCES,
  type ConfidenceName,
  confidenceOf,
  type ExitRule,
  exitAnswer,
} from '../../workloads/exit-rule.js';

const logits = (...values: number[]): NamedTensor[] => [
  { name: 'h', tensor: float32Tensor([1, 2], Float32Array.of(7, 8)) },
  { name: 's', tensor: float32Tensor([1, values.length], Float32Array.from(values)) },
];
const confidence = (name: ConfidenceName, ...values: number[]): number =>
  confidenceOf({ scores: 's', confidence: name }, logits(...values));
const near = (actual: number, expected: number): void => {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual}, not ${expected}`);
};

test('the largest probability is that of softmax', () => {
  // Odds of 6 to 3 to 1.
  near(confidence('max-probability', Math.log(6), Math.log(3), 0), 0.6);
  near(confidence('max-probability', 5), 1);
  near(confidence('max-probability', 2, 2, 2, 2), 0.25);
});

test('the margin is to the second, wherever both stand', () => {
  near(confidence('margin', 0, Math.log(6), Math.log(3)), 0.3);
  near(confidence('margin', 4, 4, 1), 0);
  near(confidence('margin', 3), 1);
});

test('the entropy is a share of the largest there can be', () => {
  near(confidence('entropy', 1, 1, 1), 0);
  // -(0.6 ln 0.6 + 0.3 ln 0.3 + 0.1 ln 0.1) / ln 3
  near(confidence('entropy', Math.log(6), Math.log(3), 0), 1 - 0.8979457 / Math.log(3));
  // A probability that underflows to 0 adds nothing.
  near(confidence('entropy', 0, -2000), 1);
  near(confidence('entropy', 9), 1);
});

test('each is between 0 and 1 and does not change with what is added to all', () => {
  for (const name of Object.keys(CONFIDENCES) as ConfidenceName[]) {
    for (const values of [
      [1, 2, 3],
      [0, 0],
      [1e6, -1e6, 5],
      [-700, -701, -702],
    ]) {
      const sure = confidence(name, ...values);
      assert.ok(sure >= -1e-12 && sure <= 1 + 1e-12, `${name} of ${values}: ${sure}`);
      near(confidence(name, ...values.map((v) => v + 64)), sure);
    }
  }
});

test('scores of any number type are read', () => {
  const tensor = denseTensor('int8', [1, 2], new Uint8Array(Int8Array.of(-1, 1).buffer));
  near(
    confidenceOf({ scores: 's', confidence: 'max-probability' }, [{ name: 's', tensor }]),
    Math.E ** 2 / (1 + Math.E ** 2),
  );
});

const rule: ExitRule = { scores: 's', answer: 'logits', confidence: 'max-probability', threshold: 0.75 };

test('an exit that is sure enough answers with its scores under the name of the model', () => {
  // Odds of 3 to 1 in numbers that softmax gives exactly 0.75 of.
  const sure = confidenceOf(rule, logits(Math.log(3), 0));
  const answer = exitAnswer({ ...rule, threshold: sure }, logits(Math.log(3), 0));
  assert.deepEqual(answer, [{ name: 'logits', tensor: logits(Math.log(3), 0)[1]?.tensor }]);
  assert.equal(exitAnswer({ ...rule, threshold: sure + 1e-12 }, logits(Math.log(3), 0)), undefined);
  assert.equal(exitAnswer(rule, logits(0, 0)), undefined);
});

test('scores that are no numbers, or infinite, go on', () => {
  for (const name of Object.keys(CONFIDENCES) as ConfidenceName[]) {
    for (const values of [
      [Number.NaN, 1],
      [1, Number.NaN],
      [Number.POSITIVE_INFINITY, 0],
      [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ]) {
      assert.equal(exitAnswer({ ...rule, confidence: name, threshold: 0 }, logits(...values)), undefined, `${values}`);
    }
  }
});

test('several rows at once go on: they may not all be sure', () => {
  const tensor = float32Tensor([2, 2], Float32Array.of(9, 0, 0, 0));
  assert.equal(exitAnswer({ ...rule, threshold: 0 }, [{ name: 's', tensor }]), undefined);
  const bare = float32Tensor([2], Float32Array.of(9, 0));
  assert.equal(exitAnswer(rule, [{ name: 's', tensor: bare }])?.length, 1);
});

test('a stage without the scores, or with words in their place, is refused', () => {
  const expected = { kind: 'invalid', message: /no scores 's'/ };
  assert.throws(() => exitAnswer(rule, logits(1).slice(0, 1)), expected);
  const words = { dtype: 'string', shape: [1], data: [Uint8Array.of(1)] } as const;
  assert.throws(() => exitAnswer(rule, [{ name: 's', tensor: words }]), expected);
});
