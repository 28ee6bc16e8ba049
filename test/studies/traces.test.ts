import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../base/paths.js';
import { readTrace, traceFormatOf } from '../../services/link/traces/index.js';
import { resolveLinks } from '../../services/orchestrator/study/links.js';
import { loadStudy } from '../../services/orchestrator/study/study.js';
import { exampleTraces } from '../support/example-traces.js';

const FOLDER = join(packageRoot, 'studies', 'traces');

test('the example traces are what their generator makes, and are traces', () => {
  const made = exampleTraces();
  assert.deepEqual(readdirSync(FOLDER).sort(), Object.keys(made).sort());
  for (const [name, text] of Object.entries(made)) {
    assert.equal(readFileSync(join(FOLDER, name), 'utf8'), text, name);
    assert.ok(readTrace(join(FOLDER, name), traceFormatOf(name)).trace.lengthMs >= 10_000);
  }
});

test('the study of a walk has links that change', async () => {
  const [link] = resolveLinks(await loadStudy(join(packageRoot, 'studies', 'walking.yaml')));
  assert.equal(link?.up.trace?.kind, 'deliveries');
  assert.equal(link?.down.trace?.kind, 'steps');
  assert.equal(link?.down.trace?.lengthMs, 60_000);
});
