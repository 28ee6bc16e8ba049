import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decides, GROWTH_SHAPES, pruneSteps, sparsityAt } from '../../../operators/prune/schedule.js';

const STEPS = 200;

for (const shape of GROWTH_SHAPES) {
  test(`${shape}: what has gone grows from nothing to the target, and is decided some forty times at most`, () => {
    const plan = pruneSteps({ shape, start: 0.1, end: 0.6 }, STEPS);
    const seen = Array.from({ length: STEPS }, (_, step) => sparsityAt(plan, step, 0.8));
    assert.equal(seen[19], 0);
    assert.ok((seen[20] as number) > 0);
    assert.equal(seen[plan.last], 0.8);
    assert.equal(seen.at(-1), 0.8);
    assert.ok(seen.every((share, i) => i === 0 || share >= (seen[i - 1] as number)));
    const decisions = seen.filter((_, step) => decides(plan, step)).length;
    assert.ok(shape === 'once' ? decisions === 1 : decisions >= 40 && decisions <= 51, `${decisions}`);
    assert.ok(decides(plan, plan.last) && !decides(plan, 19) && !decides(plan, plan.last + 1));
  });
}

test('cubic growth is that of Zhu and Gupta, exponential growth keeps the same share of what is left each time', () => {
  const cubic = pruneSteps({ shape: 'cubic', start: 0, end: 1 }, 10);
  assert.ok(Math.abs(sparsityAt(cubic, 4, 0.8) - 0.8 * (1 - 0.5 ** 3)) < 1e-12);
  const exponential = pruneSteps({ shape: 'exponential', start: 0, end: 1 }, 10);
  const left = [0, 1, 2, 9].map((step) => 1 - sparsityAt(exponential, step, 0.8));
  assert.ok(Math.abs((left[1] as number) / (left[0] as number) - (left[2] as number) / (left[1] as number)) < 1e-12);
  assert.ok(Math.abs((left[3] as number) - 0.2) < 1e-12);
});

test('a schedule for fewer steps than it has decisions still comes to its end', () => {
  for (const steps of [1, 2, 3]) {
    const plan = pruneSteps({}, steps);
    const decided = Array.from({ length: steps }, (_, step) => step).filter((step) => decides(plan, step));
    assert.ok(decided.length > 0);
    assert.equal(sparsityAt(plan, decided.at(-1) as number, 0.5), 0.5);
  }
});
