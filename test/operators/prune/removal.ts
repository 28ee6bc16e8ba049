import assert from 'node:assert/strict';
import { Random } from '../../../base/random.js';
import { checkModel } from '../../../onnx/check.js';
import type { Model } from '../../../onnx/model.js';
import type { Grouping } from '../../../operators/prune/groups.js';
import { removeUnits } from '../../../operators/prune/remove.js';
import { withZeroUnits } from '../../../operators/prune/zero.js';
import { relativeDifference } from '../../support/closeness.js';
import { runModel, seededInputs } from '../../support/run-model.js';

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
