import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recipeKey } from '../../bench/real-data-runs.js';
import { DATA, type KeyedRecipe, keyedRecipes } from '../../bench/real-data-sets.js';
import { checkRecipe } from '../../operators/check-recipe.js';
import { operator } from '../../operators/index.js';

for (const data of DATA) {
  test(`${data.name}: every recipe is one that a study could have`, () => {
    for (const { name, steps } of data.recipes({ seed: 1 })) {
      assert.doesNotThrow(() => checkRecipe(steps, [data.name]), name);
    }
  });

  test(`${data.name}: a recipe's key is the same for all seeds, and another for other epochs`, () => {
    const keys = (settings: { seed: number; epochs?: number }) => keyedRecipes(data, settings).map(({ key }) => key);
    assert.deepEqual(keys({ seed: 1 }), keys({ seed: 2 }));
    const trained = keyedRecipes(data, { seed: 1 }).findIndex(({ name }) => name === 'prune');
    assert.notEqual(keys({ seed: 1 })[trained], keys({ seed: 1, epochs: 99 })[trained]);
    assert.equal(new Set(keys({ seed: 1 })).size, 8);
  });

  test(`${data.name}: a key has the versions of the operators`, () => {
    const { steps, key } = keyedRecipes(data, { seed: 0 }).find(({ name }) => name === 'sptq') as KeyedRecipe;
    const versioned = (more: number) =>
      steps.map((step) => ({ ...step, version: operator(step.operator).version + more }));
    assert.equal(recipeKey(data.description, versioned(0)), key);
    assert.notEqual(recipeKey(data.description, versioned(1)), key);
  });

  test(`${data.name}: seeds reach what is trained`, () => {
    const steps = (seed: number) =>
      JSON.stringify(data.recipes({ seed }).find(({ name }) => name === 'distill')?.steps);
    assert.notEqual(steps(1), steps(2));
  });
}
