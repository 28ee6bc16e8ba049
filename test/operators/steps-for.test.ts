import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRecipe } from '../../operators/check-recipe.js';
import { parseRecipeFile } from '../../operators/parse-recipe.js';
import { stepsFor } from '../../operators/steps-for.js';
import './test-operators.js';

const step = (operator: string, only?: readonly string[]) => ({ operator, options: {}, ...(only && { for: only }) });
const namesOf = (steps: readonly { operator: string }[] | undefined) => steps?.map(({ operator }) => operator);

test('a step is taken for the workloads that it names, and without names for all', () => {
  const recipe = [step('identity', ['a']), step('sptq', ['b', 'c']), step('fp16')];
  assert.deepEqual(namesOf(stepsFor(recipe, 'a')), ['identity', 'fp16']);
  assert.deepEqual(namesOf(stepsFor(recipe, 'c')), ['sptq', 'fp16']);
  assert.deepEqual(namesOf(stepsFor(recipe, 'd')), ['fp16']);
  assert.equal(stepsFor([step('identity', ['a'])], 'b'), undefined);
  assert.deepEqual(stepsFor([], 'b'), []);
});

test('where a step makes sense is judged for each workload', () => {
  // `choosy` does not stand behind a `note`.
  checkRecipe([step('note', ['a']), step('choosy', ['b'])], ['a', 'b']);
  for (const recipe of [
    [step('note', ['a']), step('choosy', ['a', 'b'])],
    [step('note'), step('choosy', ['b'])],
    [step('note', ['a']), step('choosy')],
  ]) {
    assert.throws(() => checkRecipe(recipe, ['a', 'b']), { message: /choosy behind note: it reads no notes/ });
    assert.throws(() => checkRecipe(recipe), { message: /choosy behind note/ });
  }
  assert.throws(() => checkRecipe([step('note', ['a', 'z'])], ['a', 'b']), {
    message: /note is for z, and there is no such workload/,
    fix: /a, b/,
  });
});

test('a recipe names them beside the operator', () => {
  const { steps } = parseRecipeFile(
    '- sptq: { maxDrop: 1 }\n  for: a\n- identity:\n  for: [a, b]\n- identity\n',
    'r.yaml',
  );
  assert.deepEqual(steps, [
    { operator: 'sptq', options: { maxDrop: 1 }, for: ['a'] },
    { operator: 'identity', options: {}, for: ['a', 'b'] },
    { operator: 'identity', options: {} },
  ]);
  for (const [text, at] of [
    ['- for: a\n', /r\.yaml:1/],
    ['- sptq: {}\n  fp16: {}\n', /r\.yaml:1/],
    ['- sptq: {}\n  fp16: {}\n  for: a\n', /r\.yaml:1/],
    ['- sptq: {}\n  for: []\n', /r\.yaml:2/],
  ] as const) {
    assert.throws(() => parseRecipeFile(text, 'r.yaml'), { kind: 'invalid', message: at }, text);
  }
});
