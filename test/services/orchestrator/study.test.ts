import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { TierbedError } from '../../../base/errors.js';
import { packageRoot } from '../../../base/paths.js';
import type { LinkSettings } from '../../../services/link/types.js';
import { resolveLinks } from '../../../services/orchestrator/links.js';
import { loadStudy, parseStudy } from '../../../services/orchestrator/study.js';
import { studyAsYaml } from '../../../services/orchestrator/study-yaml.js';
import { resolveTimeline } from '../../../services/orchestrator/timeline-entry.js';

const GOOD = `# line 1
name: example
workloads:
  pictures: { use: pictures }
recipes:
  whole: []
  halves: [{ partition: { at: [a] } }]
  named: [identity, { partition: { at: { pictures: [[b, c], d] } } }]
placements: [mobile, mobile-edge]
links:
  mobile-edge: wifi
  edge-cloud: { preset: lte, delayMs: 20, up: { rateMbps: 3 } }
rounds: 2
`;

/** The error of the good study with one text replaced by another. */
function errorOf(from: string | RegExp, to: string): TierbedError {
  const text = GOOD.replace(from, to);
  assert.notEqual(text, GOOD, 'the test changes nothing');
  try {
    resolveLinks(parseStudy(text, 'studies/x.yaml'));
  } catch (error) {
    assert.ok(error instanceof TierbedError, String(error));
    assert.equal(error.kind, 'invalid');
    return error;
  }
  throw new Error('accepted');
}

test('defaults are filled in', () => {
  const { study } = parseStudy(GOOD, 'x.yaml');
  assert.equal(study.payload, 'encoded');
  assert.deepEqual(study.sessions, ['cold', 'warm']);
  assert.equal(study.items, 'all');
  assert.equal(study.rounds, 2);
  assert.deepEqual(study.recipes.named, [
    { operator: 'identity', options: {} },
    { operator: 'partition', options: { at: { pictures: [['b', 'c'], 'd'] } } },
  ]);
  assert.equal(study.tiers.mobile.engine, 'native');
});

test('a link is its preset, then what holds for both directions, then what holds for one', () => {
  const [wifi, lte] = resolveLinks(parseStudy(GOOD, 'x.yaml'));
  assert.equal(wifi?.name, 'mobile-edge');
  assert.equal(wifi?.up.rateMbps, 15);
  assert.equal(wifi?.down.rateMbps, 30);
  assert.equal(lte?.up.delayMs, 20);
  assert.equal(lte?.up.rateMbps, 3);
  assert.equal(lte?.down.rateMbps, 12);
});

test('errors name file, line, key and what is allowed', () => {
  const cases: [string | RegExp, string, RegExp, RegExp?][] = [
    ['rounds: 2', 'ronds: 2', /^studies\/x\.yaml:13: ronds: unknown key; allowed: name, seed, .*rounds/, /'rounds'/],
    [
      'mobile-edge]',
      'mobile-egde]',
      /:9: placements\[1\]: "mobile-egde" is not allowed; allowed: mobile, edge, cloud, /,
      /'mobile-edge'/,
    ],
    ['rounds: 2', 'rounds: many', /:13: rounds: expected integer, got "many"/],
    ['rounds: 2', 'rounds: 0', /:13: rounds: must be >= 1, got 0/],
    ['rounds: 2', 'items: some', /:13: items: "some" is not allowed; allowed: all/],
    ['rounds: 2', 'sessions: [hot]', /:13: sessions\[0\]: "hot" is not allowed; allowed: cold, warm/],
    ['rounds: 2', 'payload: jpeg', /:13: payload: .*allowed: encoded, tensor/],
    [
      '{ partition: { at: [a] } }',
      '{ partiton: { at: [a] } }',
      /:7: recipes\.halves\[0\]\.partiton: unknown key; allowed: identity, partition/,
      /'partition'/,
    ],
    [
      '{ partition: { at: [a] } }',
      'partishun',
      /:7: recipes\.halves\[0\]: "partishun" is not allowed; allowed: identity, partition/,
    ],
    [
      '{ partition: { at: [a] } }',
      '{ partition: { cut: [a] } }',
      /:7: recipes\.halves\[0\]\.partition\.cut: unknown key; allowed: at/,
    ],
    [
      '{ partition: { at: [a] } }',
      '{ partition: { at: [7] } }',
      /:7: recipes\.halves\[0\]\.partition\.at\[0\]: expected string or array, got 7/,
    ],
    [
      'mobile-edge: wifi',
      'mobile-edge: wfi',
      /:11: links\.mobile-edge: there is no link preset 'wfi'; allowed: .*wifi/,
      /'wifi'/,
    ],
    [
      'delayMs: 20',
      'delay: 20',
      /:12: links\.edge-cloud\.delay: unknown key; allowed: preset, rateMbps, delayMs/,
      /'delayMs'/,
    ],
    ['delayMs: 20', 'delayMs: -1', /:12: links\.edge-cloud\.delayMs: must be >= 0/],
    [
      '  edge-cloud: {',
      '  edge_cloud: {',
      /:12: links\.edge_cloud: unknown key; allowed: mobile-edge, edge-cloud/,
      /'edge-cloud'/,
    ],
    [
      'use: pictures',
      'use: picture',
      /:4: workloads\.pictures\.use: "picture" is not allowed; allowed: pictures/,
      /'pictures'/,
    ],
    ['{ use: pictures }', '{ model: m.onnx }', /:4: workloads\.pictures: the key '\w+' is missing/],
    [
      'rounds: 2',
      'tiers: { mobil: { threads: 1 } }',
      /:13: tiers\.mobil: unknown key; allowed: mobile, edge, cloud/,
      /'mobile'/,
    ],
    ['rounds: 2', 'tiers: { mobile: { threads: -1 } }', /:13: tiers\.mobile\.threads: must be >= 0/],
    ['name: example', 'name: ex/ample', /:2: name: "ex\/ample" is not a name/],
    ['  whole: []', '  w hole: []', /: recipes.*"w hole" is not a name/],
    ['recipes:', 'recipe:', /:5: recipe: unknown key/, /'recipes'/],
    [/placements.*\n/, '', /:1: the key 'placements' is missing/],
    ['rounds: 2', 'rounds: 2\nrounds: 3', /:14: Map keys must be unique/],
    ['rounds: 2', 'rounds: [2', /x\.yaml:1[34]: Flow sequence/],
  ];
  for (const [from, to, message, fix] of cases) {
    const error = errorOf(from, to);
    assert.match(error.message, message);
    assert.ok(error.message.startsWith('studies/x.yaml:'), error.message);
    if (fix) assert.match(error.fix ?? '', fix, error.message);
  }
  assert.throws(() => parseStudy('', 'x.yaml'), {
    kind: 'invalid',
    message: /x\.yaml:1: expected object, got nothing/,
  });
  assert.throws(() => parseStudy('- a', 'x.yaml'), { kind: 'invalid', message: /expected object, got a list/ });
});

test('a study that is not there says so', async () => {
  await assert.rejects(loadStudy('no/such.yaml'), {
    kind: 'missing',
    message: /no\/such\.yaml: there is no such file/,
  });
});

test('the resolved study is a study, and resolves to itself', () => {
  const first = studyAsYaml(parseStudy(GOOD, 'x.yaml'));
  const again = parseStudy(first, 'other.yaml');
  assert.deepEqual(parse(studyAsYaml(again)), parse(first));
  assert.equal(again.study.name, 'example');
});

test('the example of docs/study.md is valid, and shows every key there is', () => {
  const document = readFileSync(join(packageRoot, 'docs', 'study.md'), 'utf8');
  const example = /```yaml\n([\s\S]*?)```/.exec(document)?.[1] ?? '';
  const { study } = parseStudy(example, 'docs/study.md');
  assert.deepEqual(Object.keys(parse(example)).sort(), Object.keys(study).sort());
});

test('a timeline is checked before anything runs', () => {
  const links = 'rounds: 2';
  const timeline = (line: string): [string, string] => [
    links,
    `timeline:\n  - { atS: 1, link: edge-cloud, restore: true }\n  - ${line}`,
  ];
  const errorIn = (line: string): TierbedError => {
    const file = parseStudy(GOOD.replace(...timeline(line)), 'studies/x.yaml');
    try {
      resolveTimeline(file, resolveLinks(file));
    } catch (error) {
      return error as TierbedError;
    }
    throw new Error(`accepted: ${line}`);
  };
  const cases: [string, RegExp, RegExp?][] = [
    ['{ atS: 2, link: mobile-edge, set: 4g }', /:15: timeline\[1\]\.set: there is no link preset '4g'/],
    ['{ atS: 2, link: mobile-edge }', /:15: timeline\[1\]: nothing happens here/],
    ['{ atS: 2, link: mobile-edge, set: 3g, restore: true }', /nothing happens here/],
    ['{ atS: 2, link: mobile-edge, set: { delay: 3 } }', /set: delay: unknown key/, /'delayMs'/],
    ['{ atS: 2, link: mobile-edge, set: { queueBytes: 3 } }', /queueBytes is 3: a queue must hold one packet/],
    ['{ atS: 2, link: mobile-edge, set: 3g, directon: up }', /directon: unknown key/, /'direction'/],
    ['{ atS: 2, fault: node-kill, tier: moon }', /:15: timeline\[1\]: node-kill: tier: "moon" is not allowed/],
    ['{ atS: 2, fault: node-kill, forS: 3 }', /'tier' is missing/],
  ];
  for (const [line, message, fix] of cases) {
    const error = errorIn(line);
    assert.match(error.message, message);
    if (fix) assert.match(error.fix ?? '', fix);
  }
  assert.throws(
    () => parseStudy(GOOD.replace(...timeline('{ link: mobile-edge, set: 3g }')), 'x.yaml'),
    /atS' is missing/,
  );
  assert.throws(
    () => parseStudy(GOOD.replace(...timeline('{ atS: 1, fault: node-kil }')), 'x.yaml'),
    /"node-kil" is not/,
  );
});

test('what a timeline does not name of a link stays as it is', () => {
  const text = GOOD.replace(
    'rounds: 2',
    `timeline:
  - { atS: 9, fault: node-pause, tier: edge, forS: 3 }
  - { atS: 2, link: edge-cloud, set: { delayMs: 7, up: { rateMbps: 1 } } }
  - { atS: 3, link: edge-cloud, set: { lossPct: 2 }, direction: down }`,
  );
  const file = parseStudy(text, 'x.yaml');
  const links = resolveLinks(file);
  const [first, second, third] = resolveTimeline(file, links);
  assert.deepEqual([first?.atS, second?.atS, third?.atS], [2, 3, 9]);
  assert.ok(first?.kind === 'link' && second?.kind === 'link' && third?.kind === 'fault');
  const link = second.change(first.change(links[1] as LinkSettings));
  assert.deepEqual([link.up.delayMs, link.up.rateMbps, link.up.lossPct], [7, 1, undefined]);
  assert.deepEqual([link.down.delayMs, link.down.rateMbps, link.down.lossPct], [7, 12, 2]);
  assert.deepEqual(third.spec, { fault: 'node-pause', options: { tier: 'edge' }, forS: 3 });
});

test('the policy for hops that fail has defaults that leave time to do something', () => {
  const of = (line: string) => parseStudy(GOOD.replace('rounds: 2', line), 'x.yaml').study.onHopFailure;
  assert.deepEqual([of('rounds: 2').policy, of('rounds: 2').hopDeadlineMs], ['fail', 120_000]);
  assert.equal(of('onHopFailure: { policy: fallback }').hopDeadlineMs, 2_000);
  assert.equal(of('onHopFailure: { policy: retry, hopDeadlineMs: 70 }').hopDeadlineMs, 70);
});

test('the studies of the project are valid', () => {
  const badDay = join(packageRoot, 'studies', 'bad-day.yaml');
  const file = parseStudy(readFileSync(badDay, 'utf8'), badDay);
  assert.equal(resolveTimeline(file, resolveLinks(file)).length, 3);
  const path = join(packageRoot, 'studies', 'quickstart.yaml');
  const { study } = parseStudy(readFileSync(path, 'utf8'), path);
  assert.equal(study.placements.length, 7);
});
