import assert from 'node:assert/strict';
import { test } from 'node:test';
import { augmenter } from '../../../operators/train/augment/index.js';
import type { Slot } from '../../../operators/train/batch-inputs.js';
import type { AugmentSpec } from '../../../operators/train/types.js';

const picture = (values?: readonly number[]): Slot => {
  return {
    input: 'x',
    shape: [1, 3, 4],
    values: Float32Array.from(values ?? Array.from({ length: 12 }, (_, i) => i + 1)),
  };
};

/** What becomes of a slot in epochs 0, 1, 2... */
function epochs(spec: AugmentSpec, make: () => Slot[], count = 40, id = 'a'): number[][] {
  const augment = augmenter([spec], make(), 5);
  return Array.from({ length: count }, (_, epoch) => {
    const slots = make();
    augment(slots, id, epoch);
    return Array.from(slots[0]?.values ?? [], Number);
  });
}

const distinct = (rows: readonly (readonly number[])[]): number => new Set(rows.map(String)).size;

test('a crop moves the picture, with zeros where nothing was', () => {
  const rows = epochs({ kind: 'crop', pad: 1 }, () => [picture()], 200);
  assert.equal(distinct(rows), 9);
  assert.ok(rows.some((row) => String(row) === String([0, 0, 0, 0, 0, 1, 2, 3, 0, 5, 6, 7])));
  assert.ok(rows.some((row) => String(row) === String([6, 7, 8, 0, 10, 11, 12, 0, 0, 0, 0, 0])));
  assert.ok(rows.some((row) => String(row) === String(Array.from({ length: 12 }, (_, i) => i + 1))));
});

test('a shift repeats what was at the edge, and moves series along time alone', () => {
  const rows = epochs({ kind: 'shift', pixels: 1 }, () => [picture()], 200);
  assert.equal(distinct(rows), 9);
  assert.ok(rows.some((row) => String(row) === String([1, 1, 2, 3, 1, 1, 2, 3, 5, 5, 6, 7])));
  const series = epochs({ kind: 'shift', pixels: 1 }, () => [
    { input: 's', shape: [4], values: Float32Array.of(1, 2, 3, 4) },
  ]);
  assert.deepEqual([...new Set(series.map(String))].sort(), ['1,1,2,3', '1,2,3,4', '2,3,4,4']);
});

test('a flip mirrors half of the pictures, channels first or last', () => {
  const rows = epochs({ kind: 'flip' }, () => [picture()], 60);
  assert.equal(distinct(rows), 2);
  assert.ok(rows.some((row) => String(row) === String([4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9])));
  const last = (): Slot[] => [{ input: 'x', shape: [5, 2, 3], values: Float32Array.from({ length: 30 }, (_, i) => i) }];
  const flipped = epochs({ kind: 'flip' }, last).find((row) => row[0] !== 0);
  assert.deepEqual(flipped?.slice(0, 6), [3, 4, 5, 0, 1, 2]);
});

test('noise has the deviation that is asked for', () => {
  const zeros = (): Slot[] => [{ input: 'x', shape: [1000], values: new Float32Array(1000) }];
  const [values = []] = epochs({ kind: 'noise', deviation: 0.5 }, zeros, 1);
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  assert.ok(Math.abs(deviation - 0.5) < 0.05, String(deviation));
});

test('tokens are dropped, but not the first, padding, or those to be kept', () => {
  const text = (): Slot[] => [
    { input: 'input_ids', shape: [8], values: BigInt64Array.of(101n, 5n, 6n, 7n, 8n, 102n, 0n, 0n) },
    { input: 'attention_mask', shape: [8], values: BigInt64Array.of(1n, 1n, 1n, 1n, 1n, 1n, 0n, 0n) },
  ];
  const rows = epochs({ kind: 'token-dropout', share: 0.5, token: 100, keep: [102] }, text, 60);
  for (const place of [0, 5, 6, 7]) assert.equal(new Set(rows.map((row) => row[place])).size, 1, `place ${place}`);
  for (const place of [1, 2, 3, 4]) {
    const dropped = rows.filter((row) => row[place] === 100).length;
    assert.ok(dropped > 15 && dropped < 45, `place ${place}: ${dropped}`);
  }
});

test('what is drawn depends on seed, epoch and item', () => {
  const spec: AugmentSpec = { kind: 'noise', deviation: 1 };
  const one = epochs(spec, () => [picture()], 3);
  assert.deepEqual(
    one,
    epochs(spec, () => [picture()], 3),
  );
  assert.equal(distinct(one), 3);
  assert.notDeepEqual(
    one,
    epochs(spec, () => [picture()], 3, 'b'),
  );
});

test('an augmentation that fits no input is refused', () => {
  const text: Slot[] = [{ input: 'ids', shape: [4], values: new BigInt64Array(4) }];
  for (const spec of [{ kind: 'flip' }, { kind: 'crop', pad: 1 }, { kind: 'noise', deviation: 1 }] as const) {
    assert.throws(() => augmenter([spec], text, 1), { kind: 'invalid', message: /works on .*ids \[N, 4\]/ });
  }
  const two: Slot[] = [...text, { input: 'types', shape: [4], values: new BigInt64Array(4) }];
  assert.throws(() => augmenter([{ kind: 'token-dropout', share: 0.1, token: 1 }], two, 1), {
    kind: 'invalid',
    message: /which input/,
  });
});
