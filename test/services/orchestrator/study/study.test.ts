import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { TierbedError } from '../../../../base/errors.js';
import { packageRoot } from '../../../../base/paths.js';
import { silent } from '../../../../base/progress.js';
import type { LinkSettings } from '../../../../services/link/types.js';
import { studyAsYaml } from '../../../../services/orchestrator/study/as-yaml.js';
import { resolveLinks } from '../../../../services/orchestrator/study/links.js';
import { checkStudy, resolveStudy } from '../../../../services/orchestrator/study/resolve.js';
import { resolveStandingLinks } from '../../../../services/orchestrator/study/standing-links.js';
import { loadStudy, parseStudy, scaledTiers } from '../../../../services/orchestrator/study/study.js';
import { resolveTimeline } from '../../../../services/orchestrator/study/timeline-entry.js';

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
      /:13: tiers\.mobil: unknown key; allowed: preset, mobile, edge, cloud/,
      /'mobile'/,
    ],
    ['rounds: 2', 'tiers: { mobile: { threads: -1 } }', /:13: tiers\.mobile\.threads: must be >= 0/],
    [
      'rounds: 2',
      'tiers: { preset: papr }',
      /:13: tiers\.preset: there is no set of tiers 'papr'; allowed: paper/,
      /'paper'/,
    ],
    ['rounds: 2', 'tiers: { mobile: { memoryMiB: 16 } }', /:13: tiers\.mobile\.memoryMiB: must be >= 64/],
    ['rounds: 2', 'scale: 0', /:13: scale: must be > 0/],
    ['rounds: 2', 'scale: 0.1', /:13: scale: at 0\.1 the mobile tier has 0\.025 CPUs and 51 MiB/, /64 MiB/],
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

test('tiers are a set by name, and what the study says of each; the scale is applied to all', () => {
  const study = (more: string, overrides = {}) => parseStudy(`${GOOD}${more}`, 'x.yaml', overrides).study;
  const { tiers, scale } = study('');
  assert.equal(scale, 1);
  assert.deepEqual([tiers.mobile.cpus, tiers.edge.cpus, tiers.cloud.cpus], [0.25, 0.5, 1], "the study's ratio, 4:8:16");
  assert.deepEqual([tiers.mobile.threads, tiers.edge.threads, tiers.cloud.threads], [1, 1, 0]);
  assert.deepEqual(scaledTiers({ tiers, scale }), tiers);
  const paper = study('tiers: { preset: paper, edge: { cpus: 6, engine: wasm } }\nscale: 0.5');
  assert.deepEqual([paper.tiers.mobile.cpus, paper.tiers.mobile.memoryMiB], [4, 4096]);
  assert.deepEqual([paper.tiers.edge.cpus, paper.tiers.edge.engine, paper.tiers.cloud.memoryMiB], [6, 'wasm', 65_536]);
  const asked = scaledTiers(paper);
  assert.deepEqual([asked.edge.cpus, asked.edge.memoryMiB, asked.edge.engine], [3, 8192, 'wasm']);
  assert.equal(study('scale: 0.5', { scale: 2 }).scale, 2, 'the command line goes before the file');
  assert.equal(study('scale: 0.5', { scale: undefined }).scale, 0.5);
});

test('the links of a testbed between studies are valid', () => {
  assert.deepEqual(
    resolveStandingLinks().map(({ name }) => name),
    ['mobile-edge', 'edge-cloud'],
  );
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

/** A folder with a trace in each format and a study that names them. */
function tracedStudy(t: TestContext, links: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'traced-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'walk.csv'), 'time_s,rateMbps,lossPct\n0,5,0\n1,2,1\n2,,\n');
  writeFileSync(join(folder, 'up.trace'), '0\n4\n9\n');
  writeFileSync(join(folder, 'x.yaml'), GOOD.replace('mobile-edge: wifi', `mobile-edge: ${links}`));
  return join(folder, 'x.yaml');
}

test('traces are files beside the study, for both directions or for one', async (t) => {
  const path = tracedStudy(
    t,
    '{ preset: wifi, lossBurstPackets: 2, trace: walk.csv, up: { trace: { file: up.trace } } }',
  );
  const [link] = resolveLinks(await loadStudy(path));
  assert.deepEqual(link?.up.trace, { kind: 'deliveries', atMs: [0, 4, 9], lengthMs: 9 });
  assert.equal(link?.down.trace?.kind, 'steps');
  assert.equal(link?.down.trace?.lengthMs, 2000);
  assert.equal(link?.down.lossBurstPackets, 2);
  assert.equal(link?.down.rateMbps, 30);
});

test('the resolved study names its traces by file and checksum, and is refused when they have changed', async (t) => {
  const path = tracedStudy(t, '{ trace: walk.csv, jitterDistribution: uniform, lossPct: 0.5 }');
  const resolved = studyAsYaml(await loadStudy(path));
  assert.match(resolved, /file: walk\.csv\n\s+format: csv\n\s+sha256: [0-9a-f]{64}\n/);
  assert.doesNotMatch(resolved, /steps/);
  const again = parseStudy(resolved, path);
  assert.deepEqual(parse(studyAsYaml(again)), parse(resolved));
  assert.deepEqual(resolveLinks(again), resolveLinks(await loadStudy(path)));
  writeFileSync(join(path, '..', 'walk.csv'), 'time_s,rateMbps\n0,5\n1,2\n');
  assert.throws(() => resolveLinks(again), {
    kind: 'invalid',
    message: /links\.mobile-edge\.up\.trace: walk\.csv is not the trace that the study means/,
  });
});

test('a trace that is not one is an error with the study and the trace, file and line', async (t) => {
  const cases: [string, string, RegExp][] = [
    ['{ trace: none.csv }', 'missing', /x\.yaml:11: links\.mobile-edge\.trace: cannot read the trace none\.csv/],
    [
      '{ trace: up.trace, up: { trace: { file: up.trace, format: csv } } }',
      'invalid',
      /links\.mobile-edge\.up\.trace: up\.trace:1: /,
    ],
    ['{ trace: { file: walk.csv, format: mahimahi } }', 'invalid', /links\.mobile-edge\.trace: walk\.csv:1: "time_s/],
    [
      '{ trace: { file: walk.csv, format: xml } }',
      'invalid',
      /trace\.format: "xml" is not allowed; allowed: csv, mahimahi/,
    ],
    ['{ trace: { path: walk.csv } }', 'invalid', /trace\.path: unknown key; allowed: file, format, sha256/],
    ['{ lossPct: 101 }', 'invalid', /links\.mobile-edge\.lossPct: must be <= 100/],
    ['{ lossBurstPackets: 0 }', 'invalid', /links\.mobile-edge\.lossBurstPackets: must be >= 1/],
    [
      '{ jitterDistribution: gauss }',
      'invalid',
      /"gauss" is not allowed; allowed: normal, uniform, pareto, paretonormal/,
    ],
  ];
  for (const [links, kind, message] of cases) {
    const path = tracedStudy(t, links);
    await assert.rejects(async () => resolveLinks(await loadStudy(path)), { kind, message }, links);
  }
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
    ['{ atS: 2, link: mobile-edge, set: { queueBytes: 3 } }', /set: queueBytes: must be >= 1514, got 3/],
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
  const of = (name: string) => {
    const path = join(packageRoot, 'studies', `${name}.yaml`);
    return parseStudy(readFileSync(path, 'utf8'), path).study;
  };
  assert.equal(of('placements').placements.length, 7);
  const { recipes, workloads } = of('quickstart');
  const eight = ['identity', 'sptq', 'qat', 'pruned', 'distilled', 'dsptq', 'partition', 'sptq-partition'];
  assert.deepEqual([Object.keys(recipes), Object.keys(workloads)], [eight, ['pictures', 'text']]);
});

test('encodings are given by link, and are checked with the study', () => {
  const with_ = (encodings: string) => parseStudy(`${GOOD}encodings: ${encodings}\n`, 'x.yaml');
  assert.deepEqual(parseStudy(GOOD, 'x.yaml').study.encodings, {});
  const file = with_('{ mobile-edge: fp16, edge-cloud: [{ int8: { axis: 1 } }, deflate] }');
  assert.deepEqual(file.study.encodings, { 'mobile-edge': 'fp16', 'edge-cloud': [{ int8: { axis: 1 } }, 'deflate'] });
  assert.deepEqual(parseStudy(studyAsYaml(file), 'y.yaml').study.encodings, file.study.encodings);
  const cases: [string, RegExp][] = [
    ['{ mobile-cloud: fp16 }', /x\.yaml:14: encodings\.mobile-cloud: unknown key/],
    ['{ mobile-edge: zip }', /x\.yaml:14: encodings\.mobile-edge.*fp16/],
    ['{ mobile-edge: { int8: { axes: 1 } } }', /x\.yaml:14: .*axes/],
    ['{ mobile-edge: [deflate, int8] }', /x\.yaml:14: encodings\.mobile-edge.*makes no sense/],
    [
      '{ edge-cloud: { int8: { range: calibrated } } }',
      /x\.yaml:14: encodings\.edge-cloud.*calibrated where a recipe cuts/,
    ],
  ];
  for (const [encodings, message] of cases) assert.throws(() => with_(encodings), { kind: 'invalid', message });
});

test('every way of writing a partition is taken', () => {
  const recipes = [
    'partition',
    '{ partition: { stages: 3, minShare: 0.2 } }',
    '{ partition: { mode: balanced, by: time } }',
    '{ partition: { mode: paper, encoding: [int8, deflate] } }',
    '{ partition: { at: [a, b], encoding: [[{ int8: { range: calibrated, axis: 1 } }, { deflate: { level: 9 } }], fp16] } }',
  ];
  for (const step of recipes) {
    assert.doesNotThrow(() => parseStudy(GOOD.replace('halves:', `other: [${step}]\n  halves:`), 'x.yaml'), step);
  }
  for (const step of [
    '{ partition: { mode: widest } }',
    '{ partition: { stages: 4 } }',
    '{ partition: { encoding: zip } }',
  ]) {
    assert.throws(
      () => parseStudy(GOOD.replace('halves:', `other: [${step}]\n  halves:`), 'x.yaml'),
      { kind: 'invalid' },
      step,
    );
  }
});

test('a recipe may be a text', () => {
  const { study } = parseStudy(GOOD.replace('whole: []', 'whole: identity + identity'), 'x.yaml');
  const identity = { operator: 'identity', options: {} };
  assert.deepEqual(study.recipes.whole, [identity, identity]);
  const error = errorOf('whole: []', 'whole: identity+partishun');
  assert.match(
    error.message,
    /^studies\/x\.yaml:6: recipes\.whole: there is no operator 'partishun'; there are: identity/,
  );
  assert.equal(error.fix, "Did you mean 'partition'?");
  assert.match(errorOf('whole: []', 'whole: identity+').message, /:6: recipes\.whole: 'identity\+' is no recipe/);
  assert.match(errorOf('whole: []', 'whole: 3').message, /:6: recipes\.whole: expected string or array, got 3/);
});

test('a recipe that makes no sense is refused before anything is built', async () => {
  const cases: [string, string, RegExp, RegExp?][] = [
    [
      '{ partition: { at: [a] } }',
      '{ partition: { at: [a] } }, { partition: { at: [b] } }',
      /^studies\/x\.yaml:7: recipes\.halves\[1\]: partition behind partition: .*has cut it already$/,
      /Name all cuts in one partition/,
    ],
    ['pictures: [[b, c], d]', 'picture: [d]', /:8: recipes\.named\[1\]: partition\.at names the workload 'picture'/],
  ];
  for (const [from, to, message, fix] of cases) {
    const text = GOOD.replace(from, to);
    assert.notEqual(text, GOOD);
    const file = parseStudy(text, 'studies/x.yaml');
    for (const check of [checkStudy, resolveStudy]) {
      await assert.rejects(check(file, silent, new AbortController().signal), (error: TierbedError) => {
        assert.equal(error.kind, 'invalid');
        assert.match(error.message, message);
        if (fix) assert.match(error.fix ?? '', fix);
        return true;
      });
    }
  }
});
