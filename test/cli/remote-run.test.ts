import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Summary } from '../../analysis/summary.js';
import { ApiClient } from '../../services/api-client/client.js';
import type { LinkSettings } from '../../services/link/types.js';
import type { EventsFile } from '../../services/orchestrator/events/event-log.js';
import type { StudyView } from '../../services/orchestrator/server/api.js';
import { writeTinyStudy } from '../services/orchestrator/tiny-study.js';
import { type Ended, type Started, serve, tierbed } from './serve.js';

const work = mkdtempSync(join(tmpdir(), 'tierbed-remote-'));
const state = join(work, 'state');
const children: ChildProcess[] = [];
const { TIERBED_API: _api, TIERBED_TOKEN: _token, ...clean } = process.env;
const env = { ...clean, TIERBED_CACHE: join(work, 'cache'), TIERBED_STATE: state };
const options = { env, cwd: work };
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(work, { recursive: true, force: true });
});

async function startServe(t: TestContext, port = 0): Promise<Started & { readonly url: string }> {
  const started = await serve(['--port', String(port), '--state', state], options);
  children.push(started.child);
  // The state folder is free for the next test, however this one ends.
  t.after(() => kill(started, 'SIGKILL'));
  return started;
}

function start(...args: string[]): Started {
  const started = tierbed(args, options);
  children.push(started.child);
  return started;
}

const run = (...args: string[]): Promise<Ended> => start(...args).ended;

async function answer<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await run(...args, '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as T;
}

async function kill({ child, ended }: Started, signal: NodeJS.Signals): Promise<Ended> {
  child.kill(signal);
  return ended;
}

/** Waits until the study of the orchestrator at `url` has that many samples. */
async function untilSamples(url: string, count: number, { child, ended }: Started): Promise<StudyView> {
  for (const end = Date.now() + 90_000; Date.now() < end; await delay(100)) {
    if (child.exitCode !== null) throw new Error(`ended: ${(await ended).stderr}`);
    const token = readFileSync(join(state, 'token'), 'utf8').trim();
    const studies = await new ApiClient(url, token).studies();
    const running = studies.find(({ state: how }) => how === 'running');
    if (running && (running.samples?.recorded ?? 0) >= count) return running;
  }
  throw new Error(`waited for ${count} samples`);
}

function samplesIn(folder: string): number[] {
  return readFileSync(join(folder, 'samples.csv'), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.split(',')[0]));
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

test('a study runs on an orchestrator as it does here: same folder, same report; its links change while it runs', async (t) => {
  const server = await startServe(t);
  const study = await writeTinyStudy(join(work, 'whole'), { rounds: 5 });
  const running = start('run', study, '--api', server.url);
  const { id } = await untilSamples(server.url, 5, running);
  const { links } = await answer<{ links: { name: string; up: { delayMs: number } }[] }>(
    'link',
    'show',
    '--api',
    server.url,
  );
  assert.deepEqual(
    links.map(({ name, up }) => [name, up.delayMs]),
    [
      ['mobile-edge', 1],
      ['edge-cloud', 2],
    ],
  );
  const set = await answer<{ up: object; down: object }>(
    'link',
    'set',
    'edge-cloud',
    '--delay-ms',
    '4',
    '--direction',
    'up',
    '--api',
    server.url,
  );
  assert.deepEqual(
    [set.up, set.down],
    [
      { rateMbps: 100, delayMs: 4, jitterMs: 0, queueBytes: 262_144 },
      { rateMbps: 100, delayMs: 2, jitterMs: 0, queueBytes: 262_144 },
    ],
  );
  const verify = await run('link', 'verify', '--api', server.url);
  assert.equal(verify.code, 5);
  assert.match(verify.stderr, /is measuring: bulk transfers would change its samples\n {2}fix: .*--disturb/);

  const { code, stdout, stderr } = await running.ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /measuring {2}\d+\/140/);
  assert.match(stdout, /tiny is fastest on/);
  const folder = join(work, 'results', readlinkSync(join(work, 'results', 'latest')));
  assert.match(stdout, /Results: results\/tiny-\d{8}-\d{6} /);
  assert.deepEqual(samplesIn(folder), upTo(140));
  const { events } = JSON.parse(readFileSync(join(folder, 'events.json'), 'utf8')) as EventsFile;
  assert.deepEqual(
    events.map(({ name, by, what }) => [name, by, (what as LinkSettings).up.delayMs]),
    [['edge-cloud changed', 'hand', 4]],
  );
  assert.ok(readdirSync(folder).includes('samples.parquet') && !readdirSync(folder).includes('.lock'));

  const gone = await run('link', 'show', '--api', server.url);
  assert.equal(gone.code, 5);
  const out = join(work, 'again');
  await answer('study', 'results', id, '--out', out, '--api', server.url);
  assert.equal(readFileSync(join(out, 'samples.csv'), 'utf8'), readFileSync(join(folder, 'samples.csv'), 'utf8'));
  const status = await answer<{ orchestrator: { study: null }; tiers: null }>('status', '--api', server.url);
  assert.equal(status.orchestrator.study, null);
  await kill(server, 'SIGTERM');
});

test('an orchestrator that is killed and started again finishes the study by itself, and the client waits for it', async (t) => {
  const study = await writeTinyStudy(join(work, 'killed'), { rounds: 4 });
  let server = await startServe(t);
  const { port } = new URL(server.url);
  const out = join(work, 'killed-results');
  const running = start('run', study, '--api', server.url, '--out', out, '--json');
  const view = await untilSamples(server.url, 15, running);
  await kill(server, 'SIGKILL');
  const rowsAtDeath = readFileSync(join(state, 'studies', view.id, 'results', 'samples.csv'), 'utf8');
  server = await startServe(t, Number(port));
  await untilSamples(server.url, 40, running);
  // In good order this time.
  assert.equal((await kill(server, 'SIGTERM')).code, 0);
  server = await startServe(t, Number(port));
  const { code, stdout, stderr } = await running.ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /the orchestrator does not answer: waiting until it is back\n/);
  assert.match(stderr, /the orchestrator is back\n/);
  const { planned, recorded, failed } = (JSON.parse(stdout) as Summary).samples;
  assert.deepEqual({ planned, recorded, failed }, { planned: 112, recorded: 112, failed: 0 });
  assert.deepEqual(samplesIn(out), upTo(112));
  const whole = rowsAtDeath.slice(0, rowsAtDeath.lastIndexOf('\n') + 1);
  assert.ok(readFileSync(join(out, 'samples.csv'), 'utf8').startsWith(whole), 'what was recorded stays as it was');
  await kill(server, 'SIGTERM');
});

test('Ctrl-C stops the study, brings what is there and says how to resume; --resume finishes it', async (t) => {
  const server = await startServe(t);
  const folder = join(work, 'stopped');
  const study = await writeTinyStudy(folder, { rounds: 3 });
  const out = join(work, 'stopped-results');
  const running = start('run', study, '--api', server.url, '--scale', '0.5', '--out', out);
  const { id } = await untilSamples(server.url, 10, running);
  const { code, stderr } = await kill(running, 'SIGINT');
  assert.equal(code, 130, stderr);
  assert.match(stderr, /\d+ of 84 samples are recorded, and are in .*stopped-results\n/);
  assert.match(
    stderr,
    new RegExp(
      `fix: Finish it with: tierbed run .*tiny.yaml --api ${server.url} --scale 0.5 --resume .*stopped-results \\(or: tierbed study resume ${id}\\)`,
    ),
  );
  const shown = await answer<StudyView>('study', 'show', id, '--api', server.url);
  assert.equal(shown.state, 'stopped');
  const before = readFileSync(join(out, 'samples.csv'), 'utf8');
  assert.equal(samplesIn(out).length, shown.samples?.recorded);

  const here = await run('run', study, '--resume', out);
  assert.equal(here.code, 5);
  assert.match(here.stderr, /is of the study .* that the orchestrator at .* runs\n {2}fix: Finish it there/);
  appendFileSync(study, '# another\n');
  const changed = await run('run', study, '--api', server.url, '--resume', out);
  assert.deepEqual(
    [changed.code, /not the same as when the run began/.test(changed.stderr)],
    [5, true],
    changed.stderr,
  );
  await writeTinyStudy(folder, { rounds: 3 });

  const unscaled = await run('run', study, '--api', server.url, '--resume', out);
  assert.match(unscaled.stderr, /its scale or a file .* not the same/);
  const finished = await run('run', study, '--api', server.url, '--scale', '0.5', '--resume', out);
  assert.equal(finished.code, 0, finished.stderr);
  assert.deepEqual(samplesIn(out), upTo(84));
  assert.ok(readFileSync(join(out, 'samples.csv'), 'utf8').startsWith(before));
  const { runs } = JSON.parse(readFileSync(join(out, 'environment.json'), 'utf8')) as { runs: { scale: number }[] };
  assert.deepEqual(
    runs.map(({ scale }) => scale),
    [0.5, 0.5],
  );
  assert.match(finished.stdout, /all tiers are scaled by 0\.5/);
  const done = await run('run', study, '--api', server.url, '--scale', '0.5', '--resume', out);
  assert.equal(done.code, 0, 'once more only brings the results again');
  await kill(server, 'SIGTERM');
});

test('--detach leaves the study to itself; wrong studies end with what is wrong', async (t) => {
  const server = await startServe(t);
  const study = await writeTinyStudy(join(work, 'detached'));
  const view = await answer<StudyView>('run', study, '--api', server.url, '--detach');
  const stopped = await answer<StudyView>('study', 'stop', view.id, '--api', server.url);
  assert.equal(stopped.state, 'stopped');
  const resumed = await answer<StudyView>('study', 'resume', view.id, '--api', server.url);
  assert.match(resumed.state, /queued|running/);
  await answer('study', 'stop', view.id, '--api', server.url);
  assert.deepEqual(await answer('study', 'remove', view.id, '--api', server.url), { removed: view.id });

  const cases: [string[], number, RegExp][] = [
    [['run', study, '--detach'], 2, /--detach needs an orchestrator/],
    [['run', join(work, 'none.yaml'), '--api', server.url], 4, /no such file/],
    [['run', study, '--api', server.url, '--resume', work], 4, /does not say which study/],
    [['study', 'show', 'nothing', '--api', server.url], 4, /no study 'nothing'/],
  ];
  for (const [args, code, message] of cases) {
    const ended = await run(...args);
    assert.equal(ended.code, code, `${args.join(' ')}: ${ended.stderr}`);
    assert.match(ended.stderr, message);
  }
  const missing = await writeTinyStudy(join(work, 'missing'));
  rmSync(join(work, 'missing', 'labels.csv'));
  const ended = await run('run', missing, '--api', server.url);
  assert.deepEqual(
    [ended.code, /tiny\.yaml:\d+: workloads\.tiny\.data: .*labels\.csv does not exist/.test(ended.stderr)],
    [4, true],
    ended.stderr,
  );
  assert.equal(existsSync(join(work, 'results', 'missing')), false);
  const bad = await writeTinyStudy(join(work, 'bad'), { placements: ['mobile'] });
  const refused = await run('run', bad, '--api', server.url);
  assert.equal(refused.code, 3, refused.stderr);
  assert.match(refused.stderr, /tiny\.yaml:\d+: recipes\.halves: its variants have 2 stages/);
  await kill(server, 'SIGTERM');
});
