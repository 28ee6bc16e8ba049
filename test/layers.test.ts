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

/** Narrower rules inside services/. */
const FORBIDDEN: readonly (readonly [folder: string, target: string])[] = [
  ['services/node', 'operators'],
  ['services/node', 'analysis'],
  ['services/node', 'services/orchestrator'],
  ['services/link', 'services/node'],
  ['services/link', 'services/orchestrator'],
  ['services/rpc', 'services/node'],
  ['services/rpc', 'services/link'],
  ['services/rpc', 'services/orchestrator'],
];

function sources(folder: string): string[] {
  const root = join(packageRoot, folder);
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(packageRoot, file), 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) =>
    relative(packageRoot, join(packageRoot, dirname(file), match[1] as string)),
  );
}

test('imports run downward only', () => {
  const wrong: string[] = [];
  for (const [layer, allowed] of Object.entries(ALLOWED)) {
    for (const file of sources(layer)) {
      for (const target of importsOf(file)) {
        const to = target.split('/')[0] as string;
        if (to !== layer && !allowed.includes(to)) wrong.push(`${file} imports ${target}`);
        for (const [folder, banned] of FORBIDDEN) {
          if (file.startsWith(`${folder}/`) && target.startsWith(`${banned}/`)) wrong.push(`${file} imports ${target}`);
        }
      }
    }
  }
  assert.deepEqual(wrong, []);
});
