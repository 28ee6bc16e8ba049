import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { chooseThresholds, type ExitTrial, NEVER } from '../../../operators/early-exit/thresholds.js';

/** Where each item is answered when the exits have these thresholds: an exit's index, or -1 for the end. */
function answeredAt(exits: readonly ExitTrial[], thresholds: readonly number[], n: number): number[] {
  return Array.from({ length: n }, (_, item) =>
    exits.findIndex(({ confidence }, i) => (confidence[item] as number) >= (thresholds[i] as number)),
  );
}

function accuracyOf(exits: readonly ExitTrial[], last: readonly boolean[], at: readonly number[]): number {
  return at.filter((exit, item) => (exit < 0 ? last[item] : exits[exit]?.right[item])).length / at.length;
}

const one = (confidence: readonly number[], right: readonly boolean[]): ExitTrial => ({ confidence, right });

test('never more right answers are lost than may be, and what is said is what happens', () => {
  const random = new Random(11);
  for (let round = 0; round < 300; round++) {
    const n = 1 + random.integer(40);
    const flags = (share: number) => Array.from({ length: n }, () => random.uniform() < share);
    // Few distinct confidences: many ties.
    const levels = 2 + random.integer(6);
    const exits = Array.from({ length: 1 + random.integer(3) }, () =>
      one(
        Array.from({ length: n }, () => random.integer(levels) / levels),
        flags(0.7),
      ),
    );
    const last = flags(0.9);
    const maxDrop = [0, 0.01, 0.1, 0.5][random.integer(4)] as number;
    const choice = chooseThresholds(exits, last, maxDrop);
    const at = answeredAt(exits, choice.thresholds, n);
    assert.ok(Math.abs(accuracyOf(exits, last, at) - choice.accuracy) < 1e-12, 'accuracy');
    assert.equal(choice.fullAccuracy, last.filter(Boolean).length / n);
    assert.ok(choice.accuracy >= choice.fullAccuracy - maxDrop - 1e-9, `${choice.accuracy} of ${choice.fullAccuracy}`);
    assert.deepEqual(
      choice.shares.map((share) => Math.round(share * n)),
      exits.map((_, exit) => at.filter((a) => a === exit).length),
    );
  }
});

test('no other threshold of a single exit lets more items leave', () => {
  const random = new Random(12);
  for (let round = 0; round < 100; round++) {
    const n = 2 + random.integer(20);
    const flags = () => Array.from({ length: n }, () => random.uniform() < 0.6);
    const exit = one(
      Array.from({ length: n }, () => random.integer(8) / 8),
      flags(),
    );
    const last = flags();
    const choice = chooseThresholds([exit], last, 0.1);
    const most = Math.max(
      ...[NEVER, ...exit.confidence].map((threshold) => {
        const at = answeredAt([exit], [threshold], n);
        const allowed = accuracyOf([exit], last, at) >= choice.fullAccuracy - 0.1 - 1e-9;
        return allowed ? at.filter((a) => a === 0).length : 0;
      }),
    );
    assert.equal(Math.round((choice.shares[0] as number) * n), most);
  }
});

test('items of the same confidence leave together or not at all', () => {
  const last = [true, true, true, true];
  const exit = one([0.9, 0.5, 0.5, 0.2], [true, true, false, true]);
  assert.deepEqual(chooseThresholds([exit], last, 0), {
    ...{ thresholds: [0.7], shares: [0.25], accuracy: 1, fullAccuracy: 1 },
  });
  assert.deepEqual(chooseThresholds([exit], last, 0.25).shares, [1]);
});

test('the threshold lies half-way to the first that stays, so that rounding sends nobody elsewhere', () => {
  const exit = one([0.9, 0.6, 0.2], [true, true, false]);
  assert.deepEqual(chooseThresholds([exit], [true, true, true], 0).thresholds, [0.4]);
  // All leave: there is nothing to be half-way to, and no reason to let those leave that are less sure.
  const [all] = chooseThresholds([exit], [true, true, false], 0).thresholds as [number];
  assert.ok(all < 0.2 && all > 0.199, `${all}`);
  assert.deepEqual(chooseThresholds([one([0.5, 0], [true, true])], [true, true], 0).thresholds, [0]);
  // Neighbours with no number between them.
  const close = one([0.5, 0.5 - 2 ** -54], [true, false]);
  assert.deepEqual(chooseThresholds([close], [true, true], 0).thresholds, [0.5]);
});

test('an exit that is right where the model is wrong earns what others may lose', () => {
  const exit = one([0.9, 0.8, 0.7], [true, false, false]);
  const choice = chooseThresholds([exit], [false, true, true], 0);
  assert.deepEqual(choice.shares, [2 / 3]);
  assert.equal(choice.accuracy, choice.fullAccuracy);
});

test('each exit may use its part of the drop, and what those before it left', () => {
  const last = Array.from({ length: 10 }, () => true);
  const confidence = last.map((_, i) => 1 - i / 10);
  const wrongFrom = (first: number) => last.map((_, i) => i < first);
  // Two of ten may be lost: one by the first exit, and the other by the second.
  const both = chooseThresholds([one(confidence, wrongFrom(2)), one(confidence, wrongFrom(5))], last, 0.2);
  assert.deepEqual(both.shares, [0.3, 0.3]);
  assert.equal(both.accuracy, 0.8);
  // What the first does not use is the second's.
  const never = one(
    confidence.map(() => Number.NaN),
    wrongFrom(10),
  );
  assert.deepEqual(chooseThresholds([never, one(confidence, wrongFrom(5))], last, 0.2).shares, [0, 0.7]);
});

test('an exit from which nobody may leave has a threshold above every confidence', () => {
  const exit = one([1, 0.9], [false, false]);
  assert.deepEqual(chooseThresholds([exit], [true, true], 0.4), {
    ...{ thresholds: [NEVER], shares: [0], accuracy: 1, fullAccuracy: 1 },
  });
  assert.ok(NEVER > 1);
});

test('a confidence that is no number never leaves, wherever it stands', () => {
  const exit = one([Number.NaN, 0.9, Number.NaN, 0.3], [true, true, true, true]);
  const choice = chooseThresholds([exit], [true, true, true, true], 0);
  assert.deepEqual([choice.thresholds[0], choice.shares], [0.3 - 1e-4, [0.5]]);
});

test('without items nobody leaves', () => {
  assert.deepEqual(chooseThresholds([one([], []), one([], [])], [], 0.5), {
    ...{ thresholds: [NEVER, NEVER], shares: [0, 0], accuracy: 0, fullAccuracy: 0 },
  });
});
