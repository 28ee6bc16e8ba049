import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { COLUMNS } from '../analysis/columns.js';
import { packageRoot } from '../base/paths.js';
import { RULES } from '../onnx/grad/index.js';
import { OPERATORS } from '../operators/index.js';
import { GateMetrics } from '../services/gate/metrics.js';
import { agentMetrics } from '../services/link/agent/metrics.js';
import { FAULTS } from '../services/orchestrator/faults/index.js';
import { RESULT_FILES } from '../services/orchestrator/results/results-folder.js';
import { studySchema } from '../services/orchestrator/study/schema.js';
import { LOADERS } from '../workloads/loaders/index.js';
import { METRICS } from '../workloads/metrics/index.js';

const read = (...path: readonly string[]): string => readFileSync(join(packageRoot, ...path), 'utf8');
const doc = (name: string): string => read('docs', name);

/** Every document, by its path in the package. */
const DOCUMENTS = ['', 'docs'].flatMap((folder) =>
  readdirSync(join(packageRoot, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

/** Rows of tables, each with the code that stands in its first cell. */
function rowsOf(text: string): { readonly names: readonly string[]; readonly row: string }[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((row) => ({ names: [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map((m) => m[1] as string), row }));
}

const missingIn = (text: string, names: readonly string[]): string[] =>
  names.filter((name) => !text.includes(`\`${name}\``));

test('the README has every command, and no other', () => {
  const commands = readdirSync(join(packageRoot, 'cli', 'commands')).map((name) => name.replace('.ts', ''));
  const main = read('cli', 'main.ts');
  for (const command of commands) assert.ok(main.includes(`./commands/${command}.js`), `${command} is registered`);
  const named = rowsOf(read('README.md'))
    .flatMap(({ names }) => names)
    .flatMap((name) => /^tierbed ([a-z-]+)/.exec(name)?.[1] ?? []);
  assert.deepEqual([...new Set(named)].sort(), commands.sort());
});

test('npm scripts that documents name exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = DOCUMENTS.flatMap((path) =>
    [...read(path).matchAll(/npm run ([a-z][a-z:]*(?:-[a-z]+)*)/g)].map((match) => `${path}: ${match[1]}`),
  );
  assert.deepEqual(
    named.filter((name) => !((name.split(': ')[1] as string) in scripts)),
    [],
  );
});

test('docs/study.md has a row for every key of a study, and names those inside them', () => {
  const text = doc('study.md');
  const rows = rowsOf(text).flatMap(({ names }) => names);
  const keys = Object.keys(studySchema.properties);
  assert.deepEqual(
    keys.filter((key) => !rows.includes(key)),
    [],
  );
  const { workloads: _, ...others } = studySchema.properties;
  const inner = [...new Set(Object.values(others).flatMap(keysIn))].filter((key) => !keys.includes(key));
  // What a trace and an operator's options are is said where they are explained.
  const own = OPERATORS.map(({ name }) => `${name}.md`).filter((name) => existsSync(join(packageRoot, 'docs', name)));
  const all = ['study.md', 'operators.md', 'links.md', 'tiers.md', ...own].map(doc).join('\n');
  assert.deepEqual(
    inner.filter((key) => !new RegExp(`[\`{ ]${key}[\`:]`).test(all)),
    [],
  );
});

/** The names of all properties in a JSON Schema, however deep. */
function keysIn(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]) => [
    ...(key === 'properties' ? Object.keys(value as object) : []),
    ...keysIn(value),
  ]);
}

test('docs/results.md has every column and every file', () => {
  const text = doc('results.md');
  // The columns of stages 1 and 2 are those of stage 0.
  const columns = COLUMNS.map(({ name }) => name.replace(/^stage[12]/, 'stage0'));
  assert.deepEqual(missingIn(text, [...columns, ...Object.values(RESULT_FILES)]), []);
});

test('docs/faults.md has a row for every fault, with all its options', () => {
  const rows = rowsOf(doc('faults.md'));
  for (const { name, options } of FAULTS) {
    const found = rows.find(({ names }) => names.includes(name));
    assert.ok(found, `${name} has a row`);
    assert.deepEqual(missingIn(found.row, keysIn(options)), [], name);
  }
  const there = FAULTS.map(({ name }) => name);
  const named = rows.flatMap(({ names }) => names);
  assert.deepEqual(
    named.filter((name) => !there.includes(name)),
    [],
  );
});

test('docs/operators.md has a row and a section for every operator', () => {
  const text = doc('operators.md');
  const rows = rowsOf(text).flatMap(({ names }) => names);
  const missing = OPERATORS.filter(({ name }) => !rows.includes(name) || !text.includes(`\n## ${name}\n`));
  assert.deepEqual(missing, []);
});

test('docs/apply.md has every key of a manifest and every option of the command', () => {
  const text = doc('apply.md');
  const keys = keysIn(JSON.parse(read('docs', 'manifest.schema.json')));
  const inPlain = ['training', 'calibration', 'tuning', 'evaluation', 'kind'];
  assert.ok(keys.length > 40);
  assert.deepEqual(
    missingIn(
      text,
      [...new Set(keys)].filter((key) => !inPlain.includes(key)),
    ),
    [],
  );
  const options = [...read('cli', 'commands', 'apply.ts').matchAll(/option\('(--[a-z-]+)/g)].map(
    (match) => match[1] as string,
  );
  assert.ok(options.length > 8);
  assert.deepEqual(missingIn(text, options), []);
});

test('docs/metrics.md names every figure of the link agents and of the gate', async () => {
  const agent = agentMetrics({
    ...{ tier: 'edge', version: '0', driver: 'netem' },
    ready: () => true,
    inForce: () => [],
    stats: async () => [],
  });
  const figures = [agent, new GateMetrics().registry].flatMap((registry) =>
    registry.getMetricsAsArray().map(({ name }) => name),
  );
  const own = figures.filter((name) => name.startsWith('tierbed_'));
  assert.ok(own.length > 15);
  assert.deepEqual(missingIn(doc('metrics.md'), own), []);
});

test('docs/api.md names every route', () => {
  const folder = join('services', 'orchestrator', 'server', 'routes');
  const routes = readdirSync(join(packageRoot, folder)).flatMap((name) =>
    [...read(folder, name).matchAll(/app\.([a-z]+)[^'(]*\(\s*'(\/[^']*)'/g)].map(
      ([, method, path]) => `${method?.toUpperCase()} ${path?.replace(/:([a-z0-9]+)/g, (_, key) => key.toUpperCase())}`,
    ),
  );
  assert.ok(routes.length > 15);
  assert.deepEqual(missingIn(doc('api.md'), routes), []);
});

test('docs/docker.md names every variable of compose.yaml', () => {
  const variables = [...read('compose.yaml').matchAll(/\$\{(TIERBED_[A-Z_]+)/g)].map((match) => match[1] as string);
  assert.deepEqual(missingIn(doc('docker.md'), [...new Set(variables)]), []);
});

test('links in documents lead somewhere, and every document is linked', () => {
  const broken: string[] = [];
  const linked = new Set(['README.md']);
  for (const path of DOCUMENTS) {
    for (const [, target = '', anchor] of read(path).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const to = target === '' ? path : relative(packageRoot, join(packageRoot, dirname(path), target));
      linked.add(to);
      if (!existsSync(join(packageRoot, to))) broken.push(`${path}: ${target}`);
      else if (anchor !== undefined && !anchorsOf(read(to)).includes(anchor)) broken.push(`${path}: ${to}#${anchor}`);
    }
  }
  assert.deepEqual(broken, []);
  assert.deepEqual(
    DOCUMENTS.filter((path) => !linked.has(path)),
    [],
  );
});

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] as string)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('docs/workloads.md has a row for every loader, metric, preprocessing and postprocessing', () => {
  const rows = rowsOf(doc('workloads.md')).flatMap(({ names }) => names);
  const names = [...LOADERS, ...METRICS].map(({ name }) => name);
  assert.deepEqual(
    [...names, 'image', 'tensors', 'argmax', 'numbers', 'digest'].filter((name) => !rows.includes(name)),
    [],
  );
  for (const { name, schema } of LOADERS) {
    assert.deepEqual(missingIn(doc('workloads.md'), Object.keys(schema.properties)), [], name);
  }
});

test('docs/gradients.md lists the operators with a gradient rule, and none of them among those without', () => {
  const [, rules = '', without = ''] = doc('gradients.md').split(/^## Operators with(?:out one| a rule)$/m);
  const opTypes = RULES.flatMap(({ domain, opTypes: types }) => (domain === undefined ? types : []));
  assert.deepEqual(missingIn(rules, opTypes), []);
  const missing = rowsOf(without).flatMap(({ names }) => names);
  assert.ok(missing.length > 0);
  assert.deepEqual(
    missing.filter((name) => opTypes.includes(name)),
    [],
  );
});
