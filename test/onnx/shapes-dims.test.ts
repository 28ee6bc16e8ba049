import assert from 'node:assert/strict';
import test from 'node:test';
import { Random } from '../../base/random.js';
import type { Dim } from '../../onnx/model.js';
import {
  addDims,
  atMost,
  broadcastDim,
  ceilDivideDim,
  divideDims,
  evaluateDim,
  floorDivideDim,
  minDim,
  multiplyDims,
  plainDim,
  sameDim,
  subtractDims,
  symbolDim,
} from '../../onnx/shapes/dims.js';

test('expressions have one text each', () => {
  assert.equal(addDims('N', 1), 'N + 1');
  assert.equal(addDims(1, 'N'), 'N + 1');
  assert.equal(subtractDims(addDims('N', 'M'), 'N'), 'M');
  assert.equal(multiplyDims('N', multiplyDims(2, 'M')), '2*M*N');
  assert.equal(subtractDims(3, 'N'), '-N + 3');
  assert.equal(addDims(subtractDims(3, 'N'), 'N'), 3);
  assert.equal(floorDivideDim(addDims(multiplyDims(2, 'H'), 5), 2), 'H + 2');
  assert.equal(ceilDivideDim('H', 2), 'floor((H + 1)/2)');
  assert.equal(subtractDims(ceilDivideDim('H', 2), ceilDivideDim('H', 2)), 0);
  assert.equal(divideDims(multiplyDims('N', 3136), 'N'), 3136);
  assert.equal(divideDims(multiplyDims('N', 'M'), 2), undefined);
  assert.equal(minDim(512, 'S'), 'min(512, S)');
  assert.equal(minDim(1, 'S'), 1);
  assert.equal(addDims(minDim(512, 'S'), 1), 'min(512, S) + 1');
  assert.equal(addDims(undefined, 1), undefined);
});

test('names that look like arithmetic are kept apart from it', () => {
  const odd = symbolDim('2*N');
  assert.equal(multiplyDims(odd, 2), '2*`2*N`');
  assert.equal(plainDim(odd), '2*N');
  assert.equal(sameDim(odd, multiplyDims(2, 'N')), undefined);
  assert.equal(evaluateDim(addDims(symbolDim('unk 12'), 1), { 'unk 12': 4 }), 5);
});

test('comparison holds for every symbol of at least 1, or is left open', () => {
  assert.equal(atMost(1, 'N'), true);
  assert.equal(atMost(2, 'N'), undefined);
  assert.equal(atMost('N', 0), false);
  assert.equal(atMost('N', addDims('N', 'M')), true);
  assert.equal(sameDim('N', -1), false);
  assert.equal(sameDim('N', 'M'), undefined);
  assert.equal(atMost(2 ** 63, 4), false);
});

test('broadcasting of what is known in part', () => {
  const cases: [Dim, Dim, Dim][] = [
    ['N', 1, 'N'],
    ['N', 5, 5],
    ['N', 'N', 'N'],
    ['N', 'M', undefined],
    [undefined, 1, undefined],
    [undefined, 5, 5],
    ['N', addDims('N', 1), addDims('N', 1)],
    ['S', minDim(512, 'S'), 'S'],
  ];
  for (const [a, b, want] of cases) {
    assert.equal(broadcastDim(a, b), want, `${a} with ${b}`);
    assert.equal(broadcastDim(b, a), want, `${b} with ${a}`);
  }
});

test('random expressions evaluate to what their operations give', () => {
  const r = new Random(3);
  for (let run = 0; run < 500; run++) {
    const symbols = { N: 1 + r.integer(9), H: 1 + r.integer(300), 'odd name': 1 + r.integer(5) };
    let dim: Dim = r.pick(['N', 'H', symbolDim('odd name'), r.integer(5)]);
    let value = evaluateDim(dim, symbols) as number;
    for (let step = 0; step < 5; step++) {
      const k = 1 + r.integer(4);
      const [other, size] = r.pick<[Dim, number]>([
        ['N', symbols.N],
        ['H', symbols.H],
        [k, k],
      ]);
      [dim, value] = r.pick<() => [Dim, number]>([
        () => [addDims(dim, other), value + size],
        () => [subtractDims(dim, other), value - size],
        () => [multiplyDims(dim, other), value * size],
        () => [floorDivideDim(dim, k), Math.floor(value / k)],
        () => [ceilDivideDim(dim, k), Math.ceil(value / k)],
        () => [minDim(100, dim), Math.min(100, value)],
      ])();
      assert.equal(evaluateDim(dim, symbols), value + 0, `${dim} of ${JSON.stringify(symbols)}`);
      const bound = r.integer(50);
      const ordered = atMost(bound, dim);
      // floor(...) counts as at least 0, which holds for sizes.
      if (ordered !== undefined && !/floor|min/.test(String(dim)))
        assert.equal(ordered, bound <= value, `${bound} <= ${dim}`);
    }
  }
});
