import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silent } from '../../../base/progress.js';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import { float32Tensor } from '../../../onnx/tensor.js';
import { writeModel } from '../../../onnx/write.js';
import { describeModel } from '../../../operators/model-files.js';
import { leastThatHolds } from '../../../operators/quantise/guard/prefix.js';
import { rankedUnits } from '../../../operators/quantise/guard/units.js';
import { type GuardOptions, guard } from '../../../operators/quantise/guard.js';
import { dropInPoints } from '../../../operators/quantise/points.js';
import type { StageModel } from '../../../operators/variant.js';
import { tensorItem, tensorWorkload } from '../../support/tensor-workload.js';

/** What quantising a node adds to the four scores. */
const EFFECTS: Readonly<Record<string, readonly number[]>> = {
  harmless: [1e-4, -1e-4, 0, 0],
  // The same for all classes: the outputs are far off, and the answers are not.
  loud: [50, 50, 50, 50],
  harmful: [3, 0, 0, 0],
  slight: [0.02, 0, 0, 0],
};
const NODES = Object.keys(EFFECTS);

/** Scores are the inputs; a model has the effect of each node that it quantises. */
async function model(t: TestContext, quantised: readonly string[]): Promise<StageModel> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-guard-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const g = new GraphBuilder({ name: 'scores' });
  let value = g.input('x', 'float32', ['N', 4]);
  for (const name of quantised) {
    const effect = float32Tensor([4], Float32Array.from(EFFECTS[name] ?? []));
    value = g.node('Add', [value, g.initializer(`${name}.effect`, effect)], {}, name);
  }
  g.output(g.node('Identity', [value], {}, 'scores'), 'float32', ['N', 4]);
  const path = join(folder, 'model.onnx');
  await writeModel(g.build(), path);
  return describeModel(path);
}

const random = new Random(5);
const TUNING = Array.from({ length: 200 }, (_, i) => {
  const scores = random.fillNormal(new Float32Array(4));
  return { ...tensorItem(`item-${i}`, scores), label: String(scores.indexOf(Math.max(...scores))) };
});
const WORKLOAD = tensorWorkload({
  ...{ tuning: TUNING, metric: 'top1', postprocess: { kind: 'argmax', output: 'scores' } },
});

async function guarded(t: TestContext, options: Partial<GuardOptions>) {
  const built: string[][] = [];
  const result = await guard({
    ...{ workload: WORKLOAD, nodes: NODES, float: await model(t, []), maxDrop: 2 },
    build: (excluded) => {
      built.push([...excluded].sort());
      return model(
        t,
        NODES.filter((name) => !excluded.has(name)),
      );
    },
    ...options,
  });
  return { ...result, built };
}

test('nothing goes back to float while the drop holds', async (t) => {
  const { excluded, facts, built } = await guarded(t, { maxDrop: 100 });
  assert.equal(excluded.size, 0);
  assert.deepEqual(built, [[]]);
  assert.equal(facts.scores.float, 1);
  assert.equal(facts.scores.guarded, facts.scores.quantised);
  assert.deepEqual(facts.excluded, []);
});

test('the nodes that cost the accuracy go back to float, and no others, with what each costs', async (t) => {
  const { excluded, facts } = await guarded(t, {});
  assert.deepEqual([...excluded], ['harmful']);
  assert.equal(facts.items, TUNING.length);
  assert.ok(facts.drops.quantised > 20 && facts.drops.guarded <= 2, JSON.stringify(facts.drops));
  assert.equal(facts.drops.guarded, 100 * (facts.scores.float - facts.scores.guarded));
  const [only] = facts.excluded;
  assert.deepEqual(only?.nodes, ['harmful']);
  assert.equal(only?.costPoints, facts.drops.quantised - facts.drops.guarded);
  assert.ok((only?.outputError ?? 0) > 0.1);
});

test('a drop of nothing takes more of them, and a small budget does not look for those that may return', async (t) => {
  assert.deepEqual([...(await guarded(t, { maxDrop: 0 })).excluded].sort(), ['harmful', 'slight']);
  const { excluded, facts } = await guarded(t, { budget: 5 });
  assert.ok(excluded.has('harmful') && excluded.has('loud'));
  assert.ok(facts.excluded.every(({ costPoints }) => costPoints === undefined));
});

test('no model is built twice for the metric', async (t) => {
  const { built, facts } = await guarded(t, { maxDrop: 0 });
  assert.equal(built.length, facts.models);
  const measuredAlone = NODES.length;
  const others = built.filter((names) => names.length !== NODES.length - 1).map((names) => names.join());
  assert.equal(new Set(others).size, others.length);
  assert.ok(built.length <= measuredAlone + 8, `${built.length} models`);
});

test('a drop that does not hold even in float is refused with the scores', async (t) => {
  await assert.rejects(guarded(t, { nodes: ['loud', 'slight'] }), {
    kind: 'refused',
    message: /every node back in float.*points/,
    fix: /maxDrop/,
  });
});

test('no tuning items, and a metric without a value, are refused', async (t) => {
  await assert.rejects(guarded(t, { workload: { ...WORKLOAD, tuning: [] } }), { kind: 'missing', fix: /split/ });
  await assert.rejects(guarded(t, { workload: { ...WORKLOAD, metric: 'none' } }), {
    kind: 'invalid',
    message: /'none'/,
    fix: /labels/,
  });
});

test('it stops when it is told to', async (t) => {
  for (const when of ['measuring how sensitive', 'evaluating']) {
    const abort = new AbortController();
    let steps = 0;
    const progress = {
      ...silent,
      start(label: string) {
        if (label.startsWith(when)) abort.abort();
        steps++;
      },
    };
    await assert.rejects(guarded(t, { progress, signal: abort.signal }), { kind: 'cancelled' });
    assert.ok(steps > 0);
  }
});

test('many nodes are measured in groups, and the group that matters is halved down to its node', async () => {
  const nodes = Array.from({ length: 1000 }, (_, i) => `n${i}`);
  let measured = 0;
  const units = await rankedUnits(nodes, 60, async (part) => {
    measured++;
    return part.includes('n437') ? 1 + part.length / 1e4 : part.length / 1e4;
  });
  assert.ok(measured <= 60, `${measured}`);
  assert.deepEqual(units[0]?.nodes, ['n437']);
  assert.deepEqual(units.flatMap((unit) => unit.nodes).sort(), nodes.toSorted());
  const each = await rankedUnits(nodes.slice(0, 5), 60, async ([node]) => Number(node?.slice(1)));
  assert.deepEqual(
    each.map((unit) => unit.nodes),
    [['n4'], ['n3'], ['n2'], ['n1'], ['n0']],
  );
});

test('the least count that holds is found in few tries', async () => {
  for (const [most, least] of [
    [1, 1],
    [100, 1],
    [100, 2],
    [100, 37],
    [100, 100],
  ] as const) {
    let tries = 0;
    const found = await leastThatHolds(most, async (count) => {
      tries++;
      return count >= least;
    });
    assert.equal(found, least);
    assert.ok(tries <= 14, `${tries} tries`);
  }
  assert.equal(await leastThatHolds(9, async () => false), undefined);
});

test('points: hundredths of a fraction, or of the score in the data’s own unit, and worse is more', () => {
  const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}`);
  near(dropInPoints({ unit: 'fraction', better: 'higher' }, 0.915, 0.9), 1.5);
  near(dropInPoints({ unit: 'fraction', better: 'higher' }, 0.9, 0.915), -1.5);
  near(dropInPoints({ unit: 'fraction', better: 'lower' }, 0.1, 0.12), 2);
  near(dropInPoints({ unit: 'number', better: 'lower' }, 2, 2.03), 1.5);
  near(dropInPoints({ unit: 'number', better: 'higher' }, -2, -2.03), 1.5);
  assert.equal(dropInPoints({ unit: 'number', better: 'lower' }, 0, 0), 0);
  assert.throws(() => dropInPoints({ unit: 'number', better: 'lower' }, 0, 1), { kind: 'invalid', fix: /maxDrop/ });
});
