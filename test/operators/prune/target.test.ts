import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import { modelParameters, nodeCosts } from '../../../onnx/cost.js';
import { itemValues } from '../../../onnx/inspect.js';
import type { Model } from '../../../onnx/model.js';
import { pruningGroups } from '../../../operators/prune/groups.js';
import { keptShare } from '../../../operators/prune/kept-share.js';
import { removeUnits } from '../../../operators/prune/remove.js';
import { Structured } from '../../../operators/prune/structured.js';
import { TowardsTarget } from '../../../operators/prune/towards-target.js';
import { weightArrays } from '../../../operators/prune/weights.js';
import { prune } from '../../../operators/prune.js';
import { architecture } from '../../../workloads/zoo/architectures.js';
import { freshWeights } from '../../../workloads/zoo/fresh-weights.js';
import { bert, texts } from '../distill/support.js';
import { someUnits } from './removal.js';
import { type PruneFacts, pruned, residualModel, stripeWorkload, type TestWorkload } from './support.js';

const TRAIN = { epochs: 2, batch: 16, optimizer: { kind: 'adam', rate: 0.01 } };

async function macs(model: Model): Promise<number> {
  const costs = nodeCosts(model, await itemValues(model, {}));
  return model.graph.nodes.reduce((sum, node) => sum + (costs.get(node)?.macs ?? Number.NaN), 0);
}

const NETWORKS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  resnet20: { blocks: [1, 1], channels: [8, 12], imageSize: 8, classes: 3 },
  mobilenet_v2: { imageSize: 32, classes: 3, width: 0.25 },
  'bert-tiny': { layers: 2, hidden: 16, heads: 4, intermediate: 24, vocabulary: 12, positions: 6, classes: 2 },
};

for (const [name, options] of Object.entries(NETWORKS)) {
  test(`what ${name} keeps without some units is counted as the smaller model is`, async () => {
    const { model } = architecture(name).build(freshWeights(1), options as never);
    const grouping = await pruningGroups(model);
    const before = { macs: await macs(model), parameters: modelParameters(model) };
    const count = (cost: 'macs' | 'parameters') => keptShare(grouping, grouping.groups, cost, before, undefined);
    const [kept, parameters] = [await count('macs'), await count('parameters')];
    for (const [seed, share] of [0.1, 0.4, 0.8].entries()) {
      const gone = someUnits(grouping, share, seed);
      const smaller = await removeUnits(grouping, gone);
      assert.equal(Math.round(kept(gone) * before.macs), await macs(smaller));
      assert.equal(Math.round(parameters(gone) * before.parameters), modelParameters(smaller));
    }
    assert.equal(kept(new Set()), 1);
  });
}

type Targeted = PruneFacts & { readonly target: Readonly<Record<string, number>> };

/** What a target leads to; and that one unit fewer of it would be above. */
async function reached(work: TestWorkload, options: Readonly<Record<string, unknown>>): Promise<Targeted> {
  const { facts } = await pruned(work, options);
  const targeted = facts as Targeted;
  const [[cost, asked] = ['', 0]] = Object.entries(options.target as Record<string, number>);
  const { before, after } = targeted[cost as 'macs' | 'parameters'];
  assert.equal(targeted.target[cost], asked);
  assert.equal(targeted.target.reached, after / before);
  assert.ok(after / before <= asked, `${after / before} is not at most ${asked}`);
  assert.equal(Object.hasOwn(targeted, 'sparsity'), false);
  return targeted;
}

for (const scope of ['layer', 'global']) {
  for (const target of [{ macs: 0.5 }, { parameters: 0.3 }]) {
    test(`${scope}: ${JSON.stringify(target)} is kept, or just less, at once and while it is trained`, async (t) => {
      const work = await stripeWorkload(t, residualModel());
      const given = { target, scope, multipleOf: 1 };
      // Half a step of the larger group, in either cost.
      const within = 0.07;
      for (const how of [{ train: false }, { train: TRAIN }, { train: TRAIN, schedule: { shape: 'once' } }]) {
        const { target: found } = await reached(work, { ...given, ...how });
        const [asked] = Object.values(target) as [number];
        assert.ok((found.reached ?? 0) > asked - within, `${found.reached}`);
      }
    });
  }
}

test('the next less that could go would leave more than was asked for', async (t) => {
  const work = await stripeWorkload(t, residualModel());
  const { groups = [], target } = await reached(work, { target: { macs: 0.6 }, train: false, multipleOf: 1 });
  const [stem, inner] = groups.map(({ before, after }) => (before - after) / before) as [number, number];
  // The sparsity lies between those of its groups; just below, the group that it moved last has a unit more.
  const sparsity = Math.max(stem, inner) - 1e-3;
  const { facts } = await pruned(work, { sparsity, train: false, multipleOf: 1 });
  assert.ok(facts.macs.after / facts.macs.before > 0.6, `${facts.macs.after / facts.macs.before}, ${target.reached}`);
});

test('a score that comes with training is steered by the target too', async (t) => {
  const work = await stripeWorkload(t, residualModel());
  await reached(work, { target: { macs: 0.4 }, score: 'taylor', scope: 'global', train: TRAIN });
});

test('heads, neurons and features of a transformer by a share of its parameters', async (t) => {
  const work = await texts(t, bert(2, 16, 4), { training: 16, tuning: 8, evaluation: 6 });
  const train = { epochs: 1, batch: 8 };
  await reached(work, { target: { parameters: 0.8 }, train });
  await reached(work, { target: { macs: 0.5 }, units: ['heads', 'neurons', 'features'], train });
});

test('targets that cannot be reached are refused with the nearest that can', async (t) => {
  const work = await stripeWorkload(t, residualModel());
  for (const scope of ['layer', 'global']) {
    const given = { scope, atLeast: 8, train: false };
    let nearest = 0;
    await assert.rejects(pruned(work, { ...given, target: { macs: 0.05 } }), (error) => {
      assert.ok(error instanceof TierbedError && error.kind === 'invalid');
      nearest = Number(/macs: 0\.05 of x cannot be reached: .* ([0-9.]+) are kept/.exec(error.message)?.[1]);
      assert.ok(error.fix?.includes(`Ask for ${nearest} or more`), error.fix);
      return true;
    });
    await reached(work, { ...given, target: { macs: nearest } });
  }
  const check = (options: object, message: RegExp) =>
    assert.throws(() => prune.check?.(options as never, []), { kind: 'invalid', message, fix: /./ });
  check({ target: { macs: 0.5 }, sparsity: 0.5 }, /`sparsity: 0.5` is the share of the units/);
  check({ target: { macs: 0.5 }, kind: 'unstructured' }, /`target` is for `kind: structured`/);
});

test('where many groups change at one sparsity, no more of them do than need to', async () => {
  const { model } = architecture('resnet20').build(freshWeights(1), {});
  const grouping = await pruningGroups(model);
  const { groups } = grouping;
  const kept = await keptShare(grouping, groups, 'macs', { macs: await macs(model), parameters: 1 }, undefined);
  const weights = new Map(model.graph.initializers.map(({ name, dims }) => [name, { dims, bnScale: false }]));
  const arrays = weightArrays(model, new Set(weights.keys()));
  for (const scope of ['layer', 'global'] as const) {
    const options = { score: 'l2', scope, atLeast: 1, multipleOf: 8 } as const;
    const method = new Structured(groups, weights, options);
    new TowardsTarget(method, kept, 0.7).advance(0.4, arrays);
    const reached = kept(method.gone);
    assert.ok(reached <= 0.6 && reached > 0.5, `${scope}: ${reached}`);
    // One group after the other with all its units: each would be too much.
    for (const { units } of groups) {
      const own = new Set(units.map(({ id }) => id));
      const without = new Set([...method.gone].filter((id) => !own.has(id)));
      if (without.size < method.gone.size && scope === 'layer' && units.length === 16) assert.ok(kept(without) > 0.6);
    }
  }
});
