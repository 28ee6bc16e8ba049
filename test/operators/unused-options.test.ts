import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRecipe } from '../../operators/check-recipe.js';

const refused = (operator: string, options: Readonly<Record<string, unknown>>, message: RegExp): void => {
  assert.throws(() => checkRecipe([{ operator, options }], ['w']), { kind: 'invalid', message, fix: /^Leave `/ });
};

test('a percentile is for the method of that name, of sptq and of qat', () => {
  for (const operator of ['sptq', 'qat']) {
    refused(operator, { percentile: 99.9 }, new RegExp(`^${operator}\\.percentile is for .*this is minmax`));
    refused(operator, { percentile: 99.9, method: 'entropy' }, /this is entropy/);
    checkRecipe([{ operator, options: { percentile: 99.9, method: 'percentile' } }], ['w']);
    checkRecipe([{ operator, options: {} }], ['w']);
  }
});

test('a momentum is for ranges that move', () => {
  for (const ranges of ['learned', 'fixed']) {
    refused('qat', { ranges, momentum: 0.9 }, new RegExp(`^qat\\.momentum .*ranges: ${ranges}`));
  }
  checkRecipe([{ operator: 'qat', options: { momentum: 0.9 } }], ['w']);
});
