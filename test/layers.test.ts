import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../base/paths.js';

/** What each folder may import, besides itself; the order is that of DESIGN's house. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  base: [],
  proto: ['base'],
  onnx: ['base', 'proto'],
  workloads: ['base', 'onnx'],
  operators: ['base', 'onnx', 'workloads'], // an operator that calibrates or trains is given the workload's data
  analysis: ['base'],
  services: ['base', 'proto', 'onnx', 'workloads', 'operators', 'analysis'],
  cli: ['base', 'onnx', 'workloads', 'operators', 'analysis', 'services'],
};

/** What each part of services/ may import of the others. A part is a folder, or a file that several share. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  'services/health-server.ts': [],
  'services/metrics': [],
  'services/rpc': [],
  'services/gate': [], // it holds the Docker socket: little code, and none of it for anything else
  'services/link': ['services/rpc', 'services/health-server.ts'],
  'services/node': ['services/rpc', 'services/metrics', 'services/health-server.ts'],
  'services/orchestrator': ['services/rpc', 'services/link', 'services/node', 'services/metrics'],
  'services/api-client': ['services/orchestrator'],
};

/** Narrower rules. */
const FORBIDDEN: readonly (readonly [from: string, target: string])[] = [
  ['services/node', 'operators'],
  ['services/node', 'analysis'],
  ['services/gate', 'onnx'],
  ['services/gate', 'workloads'],
  ['services/gate', 'proto'],
  // What shapes and proves links knows nothing of the process that does it in a tier's namespace.
  ...['drivers', 'netem', 'nfqueue', 'probe', 'proxy', 'shaping', 'system', 'traces', 'verify'].map(
    (folder) => [`services/link/${folder}`, 'services/link/agent'] as const,
  ),
];

/** A client of the service knows its words and none of its doings. */
const CLIENT = 'services/api-client';

interface Import {
  /** From the package's root, without an extension. */
  readonly target: string;
  readonly typesOnly: boolean;
}

function sources(folder: string): string[] {
  const root = join(packageRoot, folder);
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(packageRoot, file), 'utf8');
  const found = text.matchAll(/(?:(?:import|export)(\s+type)?\s[^;'"]*?from\s*|import\()'(\.[^']+)'/g);
  return [...found].map(([, type, path]) => ({
    target: relative(packageRoot, join(packageRoot, dirname(file), path as string)).replace(/\.js$/, ''),
    typesOnly: type !== undefined,
  }));
}

function isIn(path: string, part: string): boolean {
  return path === part.replace(/\.ts$/, '') || path === part || path.startsWith(`${part}/`);
}

const partOf = (path: string): string | undefined => Object.keys(PARTS).find((part) => isIn(path, part));

/** Every import inside the package that leads out of `folder`'s file, as `FILE imports TARGET`, of those that `wrong` names. */
function wrongImports(folder: string, wrong: (file: string, found: Import) => boolean): string[] {
  return sources(folder).flatMap((file) =>
    importsOf(file)
      .filter((found) => wrong(file, found))
      .map(({ target }) => `${file} imports ${target}`),
  );
}

test('imports run downward only', () => {
  for (const [layer, allowed] of Object.entries(ALLOWED)) {
    const isWrong = (target: string): boolean => {
      const to = target.split('/')[0] as string;
      return to !== layer && !allowed.includes(to);
    };
    assert.deepEqual(
      wrongImports(layer, (_, { target }) => isWrong(target)),
      [],
    );
  }
});

test('the parts of services/ know of each other only what they are meant to', () => {
  const unknown = sources('services').filter((file) => partOf(file) === undefined);
  assert.deepEqual(unknown, [], 'every file belongs to a part: a new one needs a line in PARTS');
  const crossing = wrongImports('services', (file, { target }) => {
    const [from, to] = [partOf(file) as string, partOf(target)];
    if (to === undefined || to === from) return false;
    return !PARTS[from]?.includes(to);
  });
  assert.deepEqual(crossing, []);
  const banned = wrongImports('services', (file, { target }) =>
    FORBIDDEN.some(([from, to]) => isIn(file, from) && isIn(target, to)),
  );
  assert.deepEqual(banned, []);
});

test("the API's client takes nothing but types from the server", () => {
  const wrong = wrongImports(CLIENT, (_, { target, typesOnly }) => isIn(target, 'services/orchestrator') && !typesOnly);
  assert.deepEqual(wrong, []);
});
