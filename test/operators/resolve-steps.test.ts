import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { parseRecipeFile, parseRecipeText } from '../../operators/parse-recipe.js';
import { resolvedSteps } from '../../operators/resolve-steps.js';
import { parseStudy } from '../../services/orchestrator/study/study.js';

const studentOf = (steps: readonly { readonly options: Readonly<Record<string, unknown>> }[]) =>
  steps[0]?.options.student;

test("paths in options are relative to the recipe's file, on the command line to the working folder", () => {
  const text = 'recipe: [{ distill: { student: nets/small.onnx } }]';
  assert.deepEqual(studentOf(parseRecipeFile(text, '/recipes/r.yaml').steps), { model: '/recipes/nets/small.onnx' });
  const set = parseRecipeFile(text, '/recipes/r.yaml', ['distill.student=other.onnx']);
  assert.deepEqual(studentOf(set.steps), { model: resolve('other.onnx') });
  assert.deepEqual(studentOf(parseRecipeText('distill', ['distill.student=other.onnx']).steps), {
    model: resolve('other.onnx'),
  });
});

test('networks of the zoo have no path but that of their weights', () => {
  const step = (student: unknown) => ({ operator: 'distill', options: { student } });
  const resolved = (student: unknown) => studentOf(resolvedSteps([step(student)], '/base'));
  for (const student of ['resnet20', 'self', { zoo: 'resnet20' }]) assert.deepEqual(resolved(student), student);
  assert.deepEqual(resolved({ zoo: 'bert-mini', weights: 'w.safetensors' }), {
    ...{ zoo: 'bert-mini', weights: '/base/w.safetensors' },
  });
  assert.throws(() => resolved(`$${'{NO_SUCH_FOLDER_IS_SET}'}/a.onnx`), {
    kind: 'missing',
    message: /NO_SUCH_FOLDER_IS_SET/,
  });
});

test("a study's paths are relative to the study", () => {
  const study = [
    'workloads: { p: { use: pictures } }',
    'recipes: { small: [{ distill: { student: small.onnx } }] }',
    'placements: [mobile]',
    'links: { mobile-edge: wifi, edge-cloud: wifi }',
  ].join('\n');
  const { recipes } = parseStudy(study, join('/studies', 's.yaml')).study;
  assert.deepEqual(studentOf(recipes.small ?? []), { model: '/studies/small.onnx' });
});
