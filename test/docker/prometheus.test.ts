import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { packageRoot } from '../../base/paths.js';
import { promtool, rulesOf, skipWithoutPrometheus } from '../support/prometheus.js';

const FOLDER = join(packageRoot, 'docker', 'prometheus');
const read = (...path: string[]): string => readFileSync(join(FOLDER, ...path), 'utf8');

interface RulesTest {
  readonly tests: readonly {
    readonly alert_rule_test?: readonly { readonly alertname: string; readonly exp_alerts?: readonly unknown[] }[];
  }[];
}

test('promtool finds nothing wrong with the configuration and the rules', {
  skip: skipWithoutPrometheus(),
}, async () => {
  const { ok, output } = await promtool(['check', 'config', 'FOLDER/prometheus.yml'], { folder: FOLDER });
  assert.ok(ok, output);
  assert.match(output, /SUCCESS: 2 rule files found/);
});

test('the rules compute and fire as rules.test.yml says', { skip: skipWithoutPrometheus() }, async () => {
  const { ok, output } = await promtool(['test', 'rules', 'FOLDER/rules.test.yml'], { folder: FOLDER });
  assert.ok(ok, output);
});

test('rules.test.yml shows each alert firing, and keeping quiet', () => {
  const cases = (parse(read('rules.test.yml')) as RulesTest).tests.flatMap((one) => one.alert_rule_test ?? []);
  for (const { name } of rulesOf(read('rules', 'alerts.yml'))) {
    const of = cases.filter(({ alertname }) => alertname === name);
    assert.ok(
      of.some(({ exp_alerts = [] }) => exp_alerts.length > 0),
      `${name} is never shown firing`,
    );
    assert.ok(
      of.some(({ exp_alerts = [] }) => exp_alerts.length === 0),
      `${name} is never shown keeping quiet`,
    );
  }
});

test('every alert says what is wrong, what to look at, and how much it matters', () => {
  const { groups } = parse(read('rules', 'alerts.yml')) as {
    groups: { rules: { alert: string; labels: Record<string, string>; annotations: Record<string, string> }[] }[];
  };
  for (const { alert, labels, annotations } of groups.flatMap(({ rules }) => rules)) {
    assert.match(alert, /^Tierbed[A-Z]/);
    assert.ok(['critical', 'warning', 'info'].includes(labels.severity ?? ''), alert);
    assert.deepEqual(Object.keys(annotations).sort(), ['description', 'summary'], alert);
  }
});

test('rules have names of their own, and recording rules are level:metric:operation', () => {
  const rules = [...rulesOf(read('rules', 'recording.yml')), ...rulesOf(read('rules', 'alerts.yml'))];
  assert.equal(new Set(rules.map(({ name }) => name)).size, rules.length);
  for (const { kind, name } of rules) if (kind === 'record') assert.match(name, /^[a-z_]+:tierbed_[a-z_]+:[a-z0-9_]+$/);
});
