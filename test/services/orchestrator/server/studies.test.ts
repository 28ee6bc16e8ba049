import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ApiClient } from '../../../../services/api-client/client.js';
import { followStudy, type StreamEvent } from '../../../../services/api-client/events.js';
import type { StudyView } from '../../../../services/orchestrator/server/index.js';
import { writeTinyStudy } from '../tiny-study.js';
import { Harness, sha256 } from './harness.js';

const work = mkdtempSync(join(tmpdir(), 'tierbed-studies-'));
process.env.TIERBED_CACHE = join(work, 'cache');
after(() => rmSync(work, { recursive: true, force: true }));

const PLANNED = 14 * 2;

/** The numbers of the recorded samples. */
function samplesOf(csv: string): number[] {
  return csv
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.split(',')[0]));
}

test('studies run in order, can be stopped and resumed, and give their results', async (t) => {
  const harness = await Harness.start(t);
  const path = await writeTinyStudy(join(work, 'flow'), { rounds: 4 });
  const first = await harness.submit(path);
  const second = await harness.submit(path);
  const third = await harness.submit(path);
  assert.deepEqual([first.name, first.state], ['tiny', 'running']);
  assert.deepEqual([second.state, second.position, third.position], ['queued', 1, 2]);
  const { body: list } = await harness.call('GET', '/v1/studies');
  assert.deepEqual(
    list.studies.map(({ id }: StudyView) => id),
    [third.id, second.id, first.id],
  );

  const dropped = await harness.call('POST', `/v1/studies/${second.id}/stop`);
  assert.deepEqual(
    [dropped.body.state, dropped.body.position, dropped.body.error.kind],
    ['stopped', null, 'cancelled'],
  );
  assert.equal((await harness.call('GET', `/v1/studies/${third.id}`)).body.position, 1);

  const events: StreamEvent[] = [];
  const client = new ApiClient(harness.server.url, harness.token);
  const following = (async () => {
    for await (const event of followStudy(client, first.id, { signal: new AbortController().signal }))
      events.push(event);
  })();
  await harness.until(first.id, '10 samples', ({ samples }) => (samples?.recorded ?? 0) >= 10);
  const { body: status } = await harness.call('GET', '/v1/status');
  assert.deepEqual([status.study.id, status.queued, status.testbed, status.runtime], [first.id, 1, 'study', 'local']);

  const stopped = await harness.call('POST', `/v1/studies/${first.id}/stop`);
  assert.equal(stopped.body.state, 'stopped');
  assert.ok(stopped.body.samples.recorded >= 10 && stopped.body.samples.recorded < 4 * PLANNED);
  assert.equal(stopped.body.error.fix, `Finish it with: tierbed study resume ${first.id}`);
  await following;
  const last = events.at(-1);
  assert.ok(last?.event === 'state' && last.data.state === 'stopped');
  assert.ok(events.some(({ event, data }) => event === 'progress' && 'label' in data && data.label === 'measuring'));
  assert.ok(events.some(({ event, data }) => event === 'samples' && 'recorded' in data && data.recorded > 0));

  // The next in the queue begins; what was stopped waits for it.
  await harness.until(third.id, 'the third', ({ state }) => state === 'running');
  const again = await harness.call('POST', `/v1/studies/${first.id}/resume`);
  assert.deepEqual([again.body.state, again.body.position], ['queued', 1]);
  assert.equal((await harness.call('POST', `/v1/studies/${third.id}/stop`)).body.state, 'stopped');
  const done = await harness.until(first.id, 'the end', ({ state }) => state === 'done');
  assert.deepEqual(done.samples, { recorded: 4 * PLANNED, planned: 4 * PLANNED });
  assert.equal(done.error, null);
  for (const action of ['resume', 'stop']) {
    const refused = await harness.call('POST', `/v1/studies/${first.id}/${action}`);
    assert.deepEqual([refused.status, refused.body.error.kind], [409, 'refused']);
  }

  const { body: results } = await harness.call('GET', `/v1/studies/${first.id}/results`);
  const names = results.files.map(({ name }: { name: string }) => name).sort();
  assert.deepEqual(names, [
    'environment.json',
    'events.json',
    'links.json',
    'plan.json',
    'samples.csv',
    'samples.parquet',
    'study.resolved.yaml',
    'summary.json',
  ]);
  const csv = await harness.call('GET', `/v1/studies/${first.id}/results/samples.csv`);
  assert.equal(csv.headers.get('content-type'), 'text/csv; charset=utf-8');
  assert.deepEqual(
    samplesOf(csv.body),
    Array.from({ length: 4 * PLANNED }, (_, i) => i + 1),
  );
  const resultsFolder = join(harness.stateFolder, 'studies', first.id, 'results');
  assert.equal(csv.body, readFileSync(join(resultsFolder, 'samples.csv'), 'utf8'));

  writeFileSync(join(resultsFolder, 'secret.json'), '{}');
  rmSync(join(resultsFolder, 'events.json'));
  symlinkSync('/etc/passwd', join(resultsFolder, 'events.json'));
  for (const [file, status] of [
    ['secret.json', 400],
    ['..%2f..%2fstudy.json', 400],
    ['.lock', 400],
    ['events.json', 404],
  ] as const) {
    assert.equal((await harness.call('GET', `/v1/studies/${first.id}/results/${file}`)).status, status, file);
  }
  for (const route of ['', '/results', '/events', '/results/samples.csv']) {
    assert.equal((await harness.call('GET', `/v1/studies/none${route}`)).status, 404, route);
  }
});

test('a study that is wrong is refused with file, line and key, and leaves nothing', async (t) => {
  const harness = await Harness.start(t);
  const path = await writeTinyStudy(join(work, 'wrong'));
  const good = readFileSync(path, 'utf8');
  const model = readFileSync(join(work, 'wrong', 'tiny.onnx'));
  const hash = sha256(model);
  await harness.call('PUT', `/v1/files/${hash}`, new Uint8Array(model));
  const files = [{ path: 'tiny.onnx', sha256: hash }];
  const cases: [object, number, string, RegExp][] = [
    [
      { study: good.replace('rounds: 1', 'ronds: 1'), name: 'mine' },
      400,
      'invalid',
      /^mine\.yaml:\d+: ronds: unknown key/,
    ],
    [{ study: '{{' }, 400, 'invalid', /^study\.yaml:1: /],
    [
      { study: good.replace('tiny.onnx', '/etc/passwd') },
      409,
      'refused',
      /workloads\.tiny\.model: '\/etc\/passwd' leads out of the folder/,
    ],
    [{ study: good.replace('tiny.onnx', '../x.onnx') }, 409, 'refused', /leads out of the folder/],
    [
      { study: good.replace('labels.csv', '\x24{HOME}/labels.csv') },
      409,
      'refused',
      /workloads\.tiny\.data\.labels: .* leads out/,
    ],
    [
      { study: good, files: [{ path: '../evil', sha256: hash }] },
      409,
      'refused',
      /files: '\.\.\/evil' is no path inside/,
    ],
    [{ study: good, files: [{ path: '/evil', sha256: hash }] }, 409, 'refused', /'\/evil' is no path inside/],
    [{ study: good, files: [{ path: 'a/./b', sha256: hash }] }, 409, 'refused', /is no path inside/],
    [{ study: good, files: [{ path: 'a//b', sha256: hash }] }, 409, 'refused', /is no path inside/],
    [{ study: good, files: [{ path: 'study.yaml', sha256: hash }] }, 400, 'invalid', /'study\.yaml' is there twice/],
    [{ study: good, files: [...files, ...files] }, 400, 'invalid', /'tiny\.onnx' is there twice/],
    [
      { study: good, files: [...files, { path: 'tiny.onnx/a', sha256: hash }] },
      400,
      'invalid',
      /'tiny\.onnx' cannot be a file and a folder/,
    ],
    [
      { study: good, files: [{ path: 'labels.csv', sha256: 'e'.repeat(64) }] },
      404,
      'missing',
      /labels\.csv of the study are not uploaded/,
    ],
  ];
  for (const [body, status, kind, message] of cases) {
    const answer = await harness.call('POST', '/v1/studies', body);
    assert.deepEqual([answer.status, answer.body.error.kind], [status, kind], JSON.stringify(answer.body));
    assert.match(answer.body.error.message, message);
  }
  assert.deepEqual((await harness.call('GET', '/v1/studies')).body, { studies: [] });

  // What shows only when it runs is the study's own end.
  const { body } = await harness.call('POST', '/v1/studies', { study: good, files });
  await assert.rejects(
    harness.until(body.id, 'its end', () => false),
    /pictures does not exist/,
  );
  const { body: failed } = await harness.call('GET', `/v1/studies/${body.id}`);
  assert.deepEqual([failed.state, failed.error.kind], ['failed', 'missing']);
});

test('a study goes on after its server was closed, from the beginning too', async (t) => {
  const stateFolder = join(work, 'state');
  const first = await Harness.start(t, { stateFolder });
  const study = await first.submit(await writeTinyStudy(join(work, 'goes-on'), { rounds: 2 }));
  await first.server.close();
  const second = await Harness.start(t, { stateFolder });
  await second.until(study.id, '5 samples', ({ samples }) => (samples?.recorded ?? 0) >= 5);
  await second.server.close();
  const third = await Harness.start(t, { stateFolder });
  const { samples } = await third.until(study.id, 'the end', ({ state }) => state === 'done');
  assert.deepEqual(samples, { recorded: 2 * PLANNED, planned: 2 * PLANNED });
  const csv = await third.call('GET', `/v1/studies/${study.id}/results/samples.csv`);
  assert.deepEqual(
    samplesOf(csv.body),
    Array.from({ length: 2 * PLANNED }, (_, i) => i + 1),
  );
});

test('a study is removed with its results, and the uploads that no other one uses', async (t) => {
  const stateFolder = join(work, 'removing');
  const first = await Harness.start(t, { stateFolder });
  const uploads = (): number =>
    readdirSync(join(stateFolder, 'files'), { recursive: true, encoding: 'utf8' }).filter((name) => name.length > 64)
      .length;
  const whole = await first.submit(await writeTinyStudy(join(work, 'removed'), {}, 3));
  const less = await first.submit(await writeTinyStudy(join(work, 'stays'), {}, 2));
  await first.until(whole.id, 'a sample', ({ samples }) => (samples?.recorded ?? 0) > 0);
  const running = await first.call('DELETE', `/v1/studies/${whole.id}`);
  assert.deepEqual([running.status, running.body.error.fix], [409, `Stop it first: tierbed study stop ${whole.id}`]);
  for (const { id } of [less, whole]) await first.call('POST', `/v1/studies/${id}/stop`);
  assert.equal((await first.call('DELETE', `/v1/studies/${whole.id}`)).status, 204);
  for (const method of ['GET', 'DELETE'])
    assert.equal((await first.call(method, `/v1/studies/${whole.id}`)).status, 404);
  assert.deepEqual(readdirSync(join(stateFolder, 'studies')), [less.id]);
  // The model and two pictures are the other's too; its labels are its own.
  assert.equal(uploads(), 4);
  const asked = sha256('for a study that is still to come');
  await first.call('PUT', `/v1/files/${asked}`, 'for a study that is still to come');
  assert.equal((await first.call('DELETE', `/v1/studies/${less.id}`)).status, 204);
  assert.deepEqual((await first.call('GET', '/v1/studies')).body, { studies: [] });
  assert.equal(uploads(), 1, 'what was just sent stays');
  await first.server.close();
  await Harness.start(t, { stateFolder });
  assert.equal(uploads(), 0);
});

test('a study that ends the orchestrator again and again is not started by itself for ever', async (t) => {
  const stateFolder = join(work, 'crashing');
  const first = await Harness.start(t, { stateFolder });
  const study = await first.submit(await writeTinyStudy(join(work, 'crashes')));
  await first.call('POST', `/v1/studies/${study.id}/stop`);
  await first.server.close();
  const record = join(stateFolder, 'studies', study.id, 'study.json');
  const as = (fruitlessStarts: number) =>
    writeFileSync(
      record,
      JSON.stringify({ ...JSON.parse(readFileSync(record, 'utf8')), state: 'running', fruitlessStarts }),
    );
  as(5);
  const second = await Harness.start(t, { stateFolder });
  const { body } = await second.call('GET', `/v1/studies/${study.id}`);
  assert.deepEqual([body.state, body.error.kind], ['failed', 'internal']);
  assert.match(body.error.message, /ended 5 times/);
  assert.notEqual((await second.call('POST', `/v1/studies/${study.id}/resume`)).body.state, 'failed');
});
