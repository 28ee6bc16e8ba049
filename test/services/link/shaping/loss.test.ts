import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../../base/random.js';
import { gilbert, Loss, leastBurstPackets } from '../../../../services/link/shaping/loss.js';

const COUNT = 200_000;

function losses(lossPct: number, burst?: number): boolean[] {
  const loss = new Loss(new Random(11));
  return Array.from({ length: COUNT }, () => loss.takes(lossPct, burst));
}

const share = (of: readonly boolean[]) => of.filter(Boolean).length / of.length;

/** Lengths of the runs of losses. */
function runs(of: readonly boolean[]): number[] {
  const text = of.map((lost) => (lost ? 'x' : '.')).join('');
  return [...text.matchAll(/x+/g)].map(([run]) => run.length);
}

const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;

test('independent losses make up the share, and come in runs by chance alone', () => {
  for (const lossPct of [0.1, 1, 20]) {
    const of = losses(lossPct);
    const p = lossPct / 100;
    assert.ok(Math.abs(share(of) - p) < 4 * Math.sqrt((p * (1 - p)) / COUNT), `${lossPct}: ${share(of)}`);
    assert.ok(Math.abs(mean(runs(of)) - 1 / (1 - p)) < 0.05, `${mean(runs(of))}`);
  }
});

test('bursty losses make up the same share, in runs of the mean length, geometrically distributed', () => {
  for (const [lossPct, burst] of [
    [1, 4],
    [5, 10],
    [30, 2],
  ] as const) {
    const of = losses(lossPct, burst);
    const lengths = runs(of);
    assert.ok(Math.abs(share(of) / (lossPct / 100) - 1) < 0.1, `${lossPct}, ${burst}: ${share(of)}`);
    assert.ok(Math.abs(mean(lengths) / burst - 1) < 0.08, `${lossPct}, ${burst}: ${mean(lengths)}`);
    const single = lengths.filter((n) => n === 1).length / lengths.length;
    assert.ok(Math.abs(single - 1 / burst) < 0.05, `${single} of the runs are single`);
  }
});

test('runs of one packet are never two in a row', () => {
  assert.ok(runs(losses(20, 1)).every((n) => n === 1));
});

test('a share that short runs cannot make up takes longer ones', () => {
  assert.equal(leastBurstPackets(90), 9.000000000000002);
  assert.equal(leastBurstPackets(10), 1);
  const of = losses(90, 2);
  assert.ok(Math.abs(share(of) - 0.9) < 0.01, `${share(of)}`);
  assert.equal(gilbert(90, 2).enter, 1);
});

test('nothing and everything', () => {
  for (const burst of [undefined, 3]) {
    assert.equal(share(losses(0, burst)), 0);
    assert.equal(share(losses(100, burst)), 1);
  }
});
