import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KeyedError } from '../../base/keyed-error.js';
import { silent } from '../../base/progress.js';
import { Random } from '../../base/random.js';
import { refuseOverlap } from '../../workloads/parts/overlap.js';
import { type Parts, type SplitSpec, split } from '../../workloads/parts/split.js';
import type { WorkloadItem } from '../../workloads/types.js';

const item = (id: string, label = '', bytes = id): WorkloadItem => ({
  id,
  label,
  read: async () => Buffer.from(bytes),
});
const ids = ({ training, calibration, tuning, evaluation }: Parts) =>
  [training, calibration, tuning, evaluation].map((part) => part.map(({ id }) => id));

/** Data of a random size and random labels, and a split that fits it. */
function draw(random: Random): { items: WorkloadItem[]; spec: SplitSpec } {
  const labels = 1 + random.integer(8);
  const items = Array.from({ length: 3 + random.integer(300) }, (_, i) => item(`i${i}`, `${random.integer(labels)}`));
  const calibration = random.integer(items.length - 1);
  const tuning = random.integer(items.length - calibration);
  const training = random.integer(items.length - calibration - tuning);
  const left = items.length - calibration - tuning - training;
  const spec = { training, calibration, tuning, seed: random.integer(1000), stratified: random.integer(2) === 0 };
  return { items, spec: random.integer(2) === 0 ? spec : { ...spec, evaluation: 1 + random.integer(left) } };
}

describe('a split', () => {
  it('gives parts of the sizes asked for that have nothing in common, in the order of the data, the same each time', () => {
    const random = new Random(1);
    for (let round = 0; round < 200; round++) {
      const { items, spec } = draw(random);
      const parts = split(items, spec);
      const { training = 0, calibration = 0, tuning = 0 } = spec;
      const evaluation = spec.evaluation ?? items.length - training - calibration - tuning;
      assert.deepEqual(
        [parts.training.length, parts.calibration.length, parts.tuning.length, parts.evaluation.length],
        [training, calibration, tuning, evaluation],
      );
      const all = ids(parts).flat();
      assert.equal(new Set(all).size, all.length, JSON.stringify(spec));
      for (const part of ids(parts)) {
        const numbers = part.map((id) => Number(id.slice(1)));
        assert.deepEqual(
          numbers,
          numbers.toSorted((a, b) => a - b),
        );
      }
      assert.deepEqual(ids(split(items, spec)), ids(parts));
    }
  });

  it('keeps the proportions of the labels in every part, to less than four items', () => {
    const random = new Random(2);
    for (let round = 0; round < 100; round++) {
      const { items, spec } = draw(random);
      const parts = split(items, { ...spec, stratified: true });
      for (const part of [parts.training, parts.calibration, parts.tuning, parts.evaluation]) {
        for (const label of new Set(items.map((i) => i.label))) {
          const share = items.filter((i) => i.label === label).length / items.length;
          const got = part.filter((i) => i.label === label).length;
          assert.ok(Math.abs(got - share * part.length) < 4, `${got} of ${part.length}, share ${share}`);
        }
      }
    }
  });

  it('is another one with another seed, and stratified where there are labels', () => {
    const items = Array.from({ length: 100 }, (_, i) => item(`${i}`, i < 90 ? 'many' : 'few'));
    const of = (spec: SplitSpec) => split(items, { calibration: 10, tuning: 10, ...spec });
    assert.notDeepEqual(ids(of({ seed: 1 })), ids(of({ seed: 2 })));
    assert.deepEqual(ids(of({})), ids(of({ seed: 1 })));
    for (let seed = 0; seed < 20; seed++) {
      assert.equal(of({ seed }).calibration.filter(({ label }) => label === 'few').length, 1);
    }
    const loose = Array.from({ length: 20 }, (_, seed) => of({ seed, stratified: false }));
    const few = loose.map(({ calibration }) => calibration.filter(({ label }) => label === 'few').length);
    assert.ok(new Set(few).size > 1, few.join(' '));
  });

  it('has the same other parts whatever is trained on', () => {
    const items = Array.from({ length: 60 }, (_, i) => item(`${i}`, `${i % 3}`));
    const of = (training?: number) => {
      const { training: drawn, ...rest } = split(items, {
        calibration: 6,
        tuning: 9,
        evaluation: 15,
        ...(training && { training }),
      });
      return { drawn: drawn.length, rest: ids({ ...rest, training: [] }) };
    };
    assert.deepEqual(of(), { ...of(30), drawn: 0 });
    assert.equal(of(30).drawn, 30);
  });

  it('takes every item with the same chance', () => {
    // Without labels, with labels that no two items share, and with two labels in shares that come out even.
    const labellings: ((i: number) => string)[] = [() => '', String, (i) => (i % 5 === 0 ? 'a' : 'b')];
    const rounds = 2000;
    for (const label of labellings) {
      const items = Array.from({ length: 20 }, (_, i) => item(`${i}`, label(i)));
      const counts = new Map<string, number>();
      for (let seed = 0; seed < rounds; seed++) {
        const { calibration } = split(items, { calibration: 5, seed });
        for (const { id } of calibration) counts.set(id, (counts.get(id) ?? 0) + 1);
      }
      // Binomial with p = 1/4: five standard deviations are 97.
      for (const { id } of items)
        assert.ok(Math.abs((counts.get(id) ?? 0) - rounds / 4) < 97, `${id} ${counts.get(id)}`);
    }
  });

  it('says when there is not enough, or nothing to stratify by', () => {
    const items = Array.from({ length: 10 }, (_, i) => item(`${i}`));
    const wrong: [SplitSpec, RegExp, string][] = [
      [{ calibration: 6, tuning: 5 }, /6 \+ 5 items are asked for, and the data has 10/, 'split'],
      [{ training: 6, calibration: 5 }, /6 \+ 5 \+ 0 items are asked for/, 'split'],
      [{ calibration: 5, tuning: 5 }, /none is left to evaluate on/, 'split'],
      [{ calibration: 5, tuning: 4, evaluation: 2 }, /5 \+ 4 \+ 2 items/, 'split'],
      [{ calibration: 1, evaluation: 0 }, /1 \+ 0 \+ 0/, 'split'],
      [{ calibration: 1, stratified: true }, /no labels/, 'split.stratified'],
    ];
    for (const [spec, text, at] of wrong) {
      assert.throws(
        () => split(items, spec),
        (error) => error instanceof KeyedError && text.test(error.message) && error.path.join('.') === at,
        JSON.stringify(spec),
      );
    }
  });
});

describe('parts with data of their own', () => {
  it('have no item in common', async () => {
    const parts = {
      evaluation: [item('a'), item('b')],
      training: [item('t')],
      calibration: [item('c'), item('c2', '', 'c')],
      tuning: [item('d')],
    };
    await refuseOverlap(parts, silent);
    const refused = (at: string, text: RegExp) => (error: unknown) =>
      error instanceof KeyedError && error.path.join('.') === at && text.test(error.message);
    await assert.rejects(
      refuseOverlap({ ...parts, tuning: [item('d'), item('e', '', 'b'), item('f', '', 'a')] }, silent),
      refused('parts.tuning', /2 of its 3 items are in another part, too; the first, 'e', is 'b' of evaluation/),
    );
    await assert.rejects(
      refuseOverlap({ ...parts, training: [item('t'), item('u', '', 'a')] }, silent),
      refused('parts.training', /1 of its 2 items are in another part, too; the first, 'u', is 'a' of evaluation/),
    );
    await assert.rejects(
      refuseOverlap({ ...parts, tuning: [item('x', '', 'c')] }, silent),
      refused('parts.tuning', /'x', is 'c' of calibration/),
    );
  });

  it('may have items that cannot be read', async () => {
    const gone = (id: string): WorkloadItem => ({ id, label: '', read: () => Promise.reject(new Error('gone')) });
    const parts = { evaluation: [gone('a'), item('b')], training: [], calibration: [gone('a')], tuning: [] };
    await refuseOverlap(parts, silent);
  });

  it('are compared until somebody stops it', async () => {
    const parts = { evaluation: [item('a')], training: [], calibration: [], tuning: [] };
    await assert.rejects(refuseOverlap(parts, silent, AbortSignal.abort()), { kind: 'cancelled' });
  });
});
