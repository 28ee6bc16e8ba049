import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { checkModel } from '../../../onnx/check.js';
import type { Model } from '../../../onnx/model.js';
import { type Grouping, pruningGroups } from '../../../operators/prune/groups.js';
import { removeUnits } from '../../../operators/prune/remove.js';
import { withZeroUnits } from '../../../operators/prune/zero.js';
import { relativeDifference } from '../../support/closeness.js';
import { runModel, seededInputs } from '../../support/run-model.js';
import { randomBranchy } from './random-branchy.js';

/** A share of the units of each group, one of each at least left. */
export function someUnits({ groups }: Pick<Grouping, 'groups'>, share: number, seed: number): Set<number> {
  const random = new Random(seed);
  return new Set(
    groups.flatMap(({ units }) =>
      random
        .shuffle(units)
        .slice(0, Math.min(units.length - 1, Math.ceil(units.length * share)))
        .map(({ id }) => id),
    ),
  );
}

/** Checks that a model without units is the model with their weights set to zero, and gives it. */
export async function checkRemoval(
  model: Model,
  grouping: Grouping,
  chosen: ReadonlySet<number>,
  dims: Readonly<Record<string, number>> = { N: 2 },
  tolerance = 1e-4,
): Promise<Model> {
  const smaller = await removeUnits(grouping, chosen);
  checkModel(smaller);
  const inputs = seededInputs(model, dims);
  const zeroed = await runModel(withZeroUnits(grouping.model, grouping.groups, chosen), inputs);
  const off = relativeDifference(zeroed, await runModel(smaller, inputs));
  assert.ok(off < tolerance, `${model.graph.name}: off by ${off}`);
  return smaller;
}

test('a random network without channels is the network with their weights set to zero', async () => {
  let removed = 0;
  const changed = new Set<string>();
  for (let seed = 1; seed <= 120; seed++) {
    const model = randomBranchy(seed);
    const grouping = await pruningGroups(model);
    const chosen = someUnits(grouping, 0.5, seed);
    const smaller = await checkRemoval(model, grouping, chosen);
    removed += chosen.size;
    smaller.graph.nodes.forEach((node, i) => {
      if (node !== grouping.model.graph.nodes[i]) changed.add(node.opType);
    });
  }
  assert.ok(removed > 1000, `${removed} units`);
  for (const type of ['Conv', 'ConvTranspose', 'Split', 'Slice', 'Reshape', 'Pad']) {
    assert.ok(changed.has(type), `no ${type} was made smaller`);
  }
});
