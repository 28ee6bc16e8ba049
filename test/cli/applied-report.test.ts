import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appliedReport } from '../../cli/applied-report.js';
import type { Manifest } from '../../operators/manifest.js';

const TOTALS = { bytes: 1000, parameters: 10, macs: 100 };

/** A manifest as far as a report reads it. */
function manifest(recipe: readonly { readonly operator: string; readonly facts: object }[]): Manifest {
  const steps = recipe.map((step) => ({ options: {}, version: 1, tookMs: 1, cached: false, ...step }));
  const cost = { wallMs: 3, buildMs: 2, evaluateMs: 1, peakMemoryBytes: 5_000_000 };
  const stages = [{ ...TOTALS, files: [{ name: 'model.onnx' }] }];
  return { name: 'made', recipe: steps, input: TOTALS, output: TOTALS, stages, accuracy: null, cost } as never;
}

test('what steps say of themselves and warn of is in the report', () => {
  const made = manifest([
    { operator: 'prune', facts: { reached: 0.8004, says: 'not faster: 80.0 % of the weights are zero' } },
    { operator: 'qat', facts: { warnings: ['training made it worse', 'no kernel of it runs in int8 here'] } },
    { operator: 'sptq', facts: { warnings: [], quantised: { Conv: 2 } } },
  ]);
  const lines = appliedReport([{ folder: 'out', manifest: made }])
    .split('\n')
    .filter((line) => /^(prune|qat|sptq): /.test(line));
  assert.deepEqual(lines, [
    'prune: sparsity 0.800; not faster: 80.0 % of the weights are zero',
    'qat: warning: training made it worse',
    'qat: warning: no kernel of it runs in int8 here',
  ]);
});
