import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import { loadLinkPresets } from '../../../services/link/presets.js';

test('the presets that come with Tierbed are sound and say where they are from', () => {
  const presets = loadLinkPresets();
  for (const name of ['ethernet', 'wifi', 'lte', '5g', '3g', 'satellite', 'paper-mobile-edge', 'paper-edge-cloud']) {
    assert.ok(presets.has(name), name);
  }
  assert.equal(presets.get('paper-mobile-edge')?.up.rateMbps, 200);
  assert.equal(presets.get('paper-edge-cloud')?.down.rateMbps, 1);
  assert.equal(presets.get('3g')?.up.rateMbps, 0.768);
  for (const preset of presets.values()) assert.ok(preset.source.length > 10, preset.name);
});

test('a wrong file of presets is refused by file and key', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'presets-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'links.yaml');
  const direction = '{ rateMbps: 1, delayMs: 1, jitterMs: 0, queueBytes: 65536 }';
  const cases: [string, RegExp][] = [
    ['- a', /does not map/],
    ['a: {', /not YAML/],
    ['a: 3', /links\.yaml: a is not a link/],
    [`a: { up: ${direction}, down: ${direction} }`, /a\.source/],
    [`a: { source: here, up: ${direction}, down: 5 }`, /a\.down is not/],
    [`a: { source: here, up: ${direction}, down: ${direction}, left: 1 }`, /a\.left is not known/],
    [
      `a: { source: here, up: ${direction}, down: { delayMs: 1, jitterMs: 0, queueBytes: 9 } }`,
      /a\.down\.queueBytes is 9/,
    ],
    [`a: { source: here, up: ${direction}, down: { delay: 1 } }`, /a\.down\.delay is not known/],
    [
      `a: { source: here, up: ${direction}, down: { jitterMs: 0, queueBytes: 65536 } }`,
      /a\.down\.delayMs is undefined/,
    ],
  ];
  const lossy =
    '{ delayMs: 1, jitterMs: 1, jitterDistribution: pareto, lossPct: 1, lossBurstPackets: 3, queueBytes: 65536 }';
  writeFileSync(path, `a: { source: here, up: ${lossy}, down: ${direction} }`);
  assert.equal(loadLinkPresets(path).get('a')?.up.lossBurstPackets, 3);
  cases.push(
    [
      `a: { source: here, up: ${direction}, down: { delayMs: 1, jitterMs: 0, lossPct: 101, queueBytes: 65536 } }`,
      /lossPct/,
    ],
    [`a: { source: here, up: ${direction}, down: { trace: a.csv } }`, /a\.down\.trace is not known/],
  );
  for (const [text, words] of cases) {
    writeFileSync(path, text);
    assert.throws(
      () => loadLinkPresets(path),
      (error) => error instanceof TierbedError && error.kind === 'invalid' && words.test(error.message),
      text,
    );
  }
  assert.throws(() => loadLinkPresets(join(dir, 'none.yaml')), /none\.yaml/);
});
