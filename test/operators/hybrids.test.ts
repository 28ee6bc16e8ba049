import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { TierbedError } from '../../base/errors.js';
import { packageRoot } from '../../base/paths.js';
import { initializerBytes } from '../../onnx/initializer.js';
import { readModel } from '../../onnx/read.js';
import { checkRecipe } from '../../operators/check-recipe.js';
import { evaluate } from '../../operators/evaluate.js';
import { OPERATORS } from '../../operators/index.js';
import { buildVariants } from '../../operators/recipe.js';
import type { Step, Variant } from '../../operators/variant.js';
import { architecture } from '../../workloads/zoo/architectures.js';
import { freshWeights } from '../../workloads/zoo/fresh-weights.js';
import { bert, pictures, type TestWorkload, texts } from './distill/support.js';

const train = { epochs: 1, batch: 8 };
const network = { blocks: [1, 1], imageSize: 8, classes: 3 };

/** Each operator's options on a residual network with two groups of one block. */
const OPTIONS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  identity: {},
  partition: { at: ['layer1.0'] },
  'early-exit': { at: 'layer1.0' },
  sptq: { items: 4 },
  dynamic: {},
  fp16: {},
  train,
  prune: { sparsity: 0.5, train },
  qat: { items: 4, train },
  distill: { student: { zoo: 'resnet20', options: { ...network, channels: [4, 6] } }, train },
};

const step = (operator: string, options = OPTIONS[operator] ?? {}): Step => ({ operator, options });

/** The recipes that a fix advises, each in backticks: names with + between them, or an operator and its options. */
function advised(fix = ''): readonly (readonly Step[])[] {
  return [...fix.matchAll(/`([^`]+)`/g)].map(([, text = '']): readonly Step[] => {
    const read: unknown = parse(text);
    if (typeof read === 'string') return read.split('+').map((name) => step(name));
    return Object.entries(read as Record<string, Record<string, unknown>>).map(([name, options]) =>
      step(name, options),
    );
  });
}

/** What is advised in place of a recipe; undefined where the recipe is right. */
function adviceOn(names: readonly string[]): string | undefined {
  try {
    checkRecipe(names.map((name) => step(name)));
    return undefined;
  } catch (error) {
    assert.ok(error instanceof TierbedError && error.kind === 'invalid' && error.fix !== undefined);
    return error.fix;
  }
}

/** Why a pair is refused, by the word that docs/hybrids.md has for it. */
const REASONS: Readonly<Record<string, RegExp>> = {
  cut: /works on a model in one piece, and \S+ gives stages|cuts a whole model, and the partition before it/,
  small: /the weights are no float32 any more after/,
  low: /float32/,
};

/** The table of docs/hybrids.md: what comes of the operator of a row and then that of a column. */
function table(): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const text = readFileSync(join(packageRoot, 'docs', 'hybrids.md'), 'utf8');
  const rows = text
    .split('\n')
    .filter((line) => line.startsWith('|') && !line.startsWith('|---'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    );
  const [[, ...columns], ...body] = rows as [string[], ...string[][]];
  return new Map(body.map(([first = '', ...cells]) => [first, new Map(columns.map((c, i) => [c, cells[i] ?? '']))]));
}

function residual(t: TestContext): Promise<TestWorkload> {
  const { model } = architecture('resnet20').build(freshWeights(1), { ...network, channels: [6, 8] });
  const { graph } = model;
  const named = (name: string): string => ({ input: 'x', logits: 'scores' })[name] ?? name;
  const nodes = graph.nodes.map((n) => ({ ...n, inputs: n.inputs.map(named), outputs: n.outputs.map(named) }));
  const [inputs, outputs] = [graph.inputs, graph.outputs].map((list) =>
    list.map((v) => ({ ...v, name: named(v.name) })),
  );
  return pictures(
    t,
    { ...model, graph: { ...graph, nodes, inputs: inputs ?? [], outputs: outputs ?? [] } },
    {
      ...{ training: 16, calibration: 12, tuning: 12, evaluation: 6 },
    },
  );
}

/** Builds a recipe, and runs the evaluation part through what comes of it. */
async function built(work: TestWorkload, recipe: readonly Step[]): Promise<Variant> {
  checkRecipe(recipe, [work.name]);
  const [variant] = await buildVariants(work, 'x', recipe, { cache: work.cache, threads: 1 });
  assert.ok(variant);
  const score = await evaluate(work, variant.stages, 'evaluation', { threads: 1 });
  assert.deepEqual([score.n, score.unreadable], [work.items.length, []]);
  return variant;
}

test('every pair of operators is in docs/hybrids.md', () => {
  const names = OPERATORS.map(({ name }) => name).sort();
  const verdicts = table();
  assert.deepEqual([...verdicts.keys()].sort(), names);
  for (const row of verdicts.values()) assert.deepEqual([...row.keys()].sort(), names);
  assert.deepEqual(Object.keys(OPTIONS).sort(), names);
});

test('every pair of operators works from end to end, or is refused with the reason that the document has', async (t) => {
  const work = await residual(t);
  for (const [first, row] of table()) {
    for (const [then, verdict] of row) {
      await t.test(`${first}+${then}: ${verdict}`, async () => {
        const recipe = [step(first), step(then)];
        if (verdict === 'yes') {
          const variant = await built(work, recipe);
          assert.equal(variant.steps.length, 2);
          return;
        }
        assert.throws(
          () => checkRecipe(recipe, [work.name]),
          (error) => {
            assert.ok(error instanceof TierbedError && error.kind === 'invalid');
            assert.match(error.message, new RegExp(`^${then} behind ${first}: `));
            assert.match(error.message, REASONS[verdict] ?? /^$/);
            const recipes = advised(error.fix);
            assert.ok(recipes.length > 0, `it says what to write instead: ${error.fix}`);
            for (const instead of recipes) checkRecipe(instead, [work.name]);
            return true;
          },
        );
      });
    }
  }
});

test('what is advised in place of a chain of three is not refused in its turn', () => {
  let count = 0;
  const each = OPERATORS.map(({ name }) => name);
  for (const [first, second] of each.flatMap((a) => each.map((b) => [a, b] as const))) {
    if (adviceOn([first, second]) !== undefined) continue;
    for (const third of each) {
      const advice = adviceOn([first, second, third]);
      if (advice === undefined) continue;
      count++;
      const recipes = advised(advice);
      assert.ok(recipes.length > 0, `${first}+${second}+${third}: ${advice}`);
      for (const instead of recipes) checkRecipe(instead);
    }
  }
  assert.ok(count > 100, `${count} chains were refused`);
  assert.equal(adviceOn(['distill', 'sptq', 'qat']), "Write `distill+qat`: qat starts from sptq's ranges by itself.");
  assert.equal(adviceOn(['prune', 'partition', 'sptq']), 'Put sptq before partition: `prune+sptq+partition`.');
  assert.equal(adviceOn(['prune', 'qat', 'fp16']), 'Choose one of the two: `prune+qat` or `prune+fp16`.');
  assert.equal(adviceOn(['prune', 'sptq', 'sptq']), 'Write sptq once: `prune+sptq`.');
});

test('an operator that is cut short for all requests is in one piece still', async (t) => {
  const work = await residual(t);
  const short = step('early-exit', { at: 'layer1.0', kind: 'static' });
  for (const { name } of OPERATORS) {
    await t.test(name, async () => {
      await built(work, [short, step(name)]);
    });
  }
});

test('trained exits follow whatever early exits may follow', async (t) => {
  const work = await residual(t);
  const { 'early-exit': _, ...others } = OPTIONS;
  for (const [first] of Object.entries(others).filter(([name]) => name !== 'partition')) {
    const low = ['sptq', 'dynamic', 'fp16', 'qat'].includes(first);
    for (const trains of ['heads', 'all']) {
      const exit = step('early-exit', { at: 'layer1.0', head: 'train', trains, train });
      await t.test(`${first}, and ${trains} trained`, async () => {
        if (trains === 'heads' || !low) await built(work, [step(first), exit]);
        else assert.throws(() => checkRecipe([step(first), exit]), { kind: 'invalid', fix: /trains: heads/ });
      });
    }
  }
});

test('chains of three work, and zeros of pruning stay through training, distillation and int8', async (t) => {
  const work = await residual(t);
  await built(work, [step('distill'), step('sptq'), step('partition')]);
  await built(work, [step('distill'), step('qat'), step('partition')]);
  await built(work, [step('distill'), step('prune'), step('sptq')]);
  const zeros = step('prune', { kind: 'unstructured', sparsity: 0.6, train });
  const share = async (variant: Variant): Promise<number> => {
    const { graph } = await readModel(variant.stages[0]?.files[0]?.path as string);
    const convolutions = new Set(graph.nodes.filter(({ opType }) => opType === 'Conv').map(({ inputs }) => inputs[1]));
    const weights = graph.initializers.filter(({ name }) => convolutions.has(name));
    const values = weights.flatMap((weight) => [...new Float32Array(new Uint8Array(initializerBytes(weight)).buffer)]);
    return values.filter((value) => value === 0).length / values.length;
  };
  const pruned = await share(await built(work, [zeros]));
  assert.ok(pruned > 0.4, `${pruned} of the weights are zero`);
  assert.equal(await share(await built(work, [zeros, step('train')])), pruned);
  assert.equal(await share(await built(work, [zeros, step('distill', { student: 'self', train })])), pruned);
});

test('a text model goes through all that trains, and on', async (t) => {
  const work = await texts(t, bert(2, 8, 2), { training: 16, calibration: 8, tuning: 8, evaluation: 6 });
  const options = { layers: 1, hidden: 8, heads: 2, intermediate: 8, positions: 6 };
  const student = step('distill', { student: { zoo: 'bert-tiny', options }, hidden: { at: 'layers' }, train });
  const cut = step('partition', { at: [['embeddings', 'attention_bias']] });
  const exit = step('early-exit', { at: [['encoder.layer.0', 'attention_bias']], head: 'train', train });
  await built(work, [student, step('sptq'), cut]);
  await built(work, [step('prune'), step('distill', { student: 'self', attention: { at: 'layers' }, train }), cut]);
  await built(work, [step('train'), step('qat'), cut]);
  await built(work, [step('qat'), exit]);
  await built(work, [step('train'), step('dynamic'), exit]);
});
