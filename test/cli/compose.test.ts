import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { packageRoot } from '../../base/paths.js';
import { parseLogLine } from '../../cli/commands/logs.js';
import { isOlder } from '../../cli/compose/preflight.js';
import { parseServices } from '../../cli/compose/services.js';
import { SOURCES_ARGUMENT, SOURCES_LABEL, sourcesDigest } from '../../cli/compose/sources.js';
import { writeTinyStudy } from '../services/orchestrator/tiny-study.js';
import {
  container,
  type FakeAnswer,
  type FakeDocker,
  fakeDocker,
  HEALTHY,
  published,
  UP,
  untilCalled,
} from './fake-docker.js';
import { serve, tierbed } from './serve.js';

const work = mkdtempSync(join(tmpdir(), 'tierbed-compose-'));
after(() => rmSync(work, { recursive: true, force: true }));

const fake = (answers: Readonly<Record<string, FakeAnswer>> = {}, more: NodeJS.ProcessEnv = {}): FakeDocker =>
  fakeDocker(work, answers, more);

const DENIED =
  'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: connect: permission denied\n';

test('what is wrong with Docker is said before anything is started, with the fix', async () => {
  const cases: [string, Record<string, FakeAnswer>, number, RegExp, RegExp][] = [
    [
      'no permission',
      { version: { code: 1, stderr: DENIED } },
      5,
      /may not use the Docker socket/,
      /group docker.*sudo/,
    ],
    [
      'no engine',
      {
        version: {
          code: 1,
          stderr: 'Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?\n',
        },
      },
      6,
      /does not run/,
      /systemctl start docker/,
    ],
    ['old engine', { version: { stdout: '19.03.15\n' } }, 5, /is 19\.03\.15, and 20\.10 or newer/, /Upgrade/],
    [
      'no Compose',
      { 'compose version': { code: 1, stderr: "docker: 'compose' is not a docker command.\n" } },
      4,
      /no Compose v2/,
      /Install the plugin/,
    ],
    ['old Compose', { 'compose version': { stdout: 'v2.19.1\n' } }, 5, /is 2\.19\.1, and 2\.20 or newer/, /Upgrade/],
    [
      'little memory',
      { info: { stdout: '64 268435456\n' } },
      5,
      /ask for \d+ MiB of memory, and Docker has 256/,
      /tiers\/\*\.yaml.*--anyway/,
    ],
    [
      'few cores',
      { info: { stdout: '0.1 274877906944\n' } },
      5,
      /asks for [\d.]+ CPUs, and Docker has 0\.1/,
      /--anyway/,
    ],
  ];
  for (const [name, answers, code, message, fix] of cases) {
    const docker = fake(answers);
    const ended = await docker.run('up', '--quiet');
    assert.equal(ended.code, code, `${name}: ${ended.stderr}`);
    assert.match(ended.stderr, message, name);
    assert.match(ended.stderr, new RegExp(`fix: .*${fix.source}`, 's'), name);
    assert.ok(!docker.calls().some((call) => / up /.test(call)), name);
  }
  const none = await fake(
    {},
    { PATH: dirname(process.execPath).startsWith('/usr') ? '/nonexistent' : dirname(process.execPath) },
  ).run('up');
  assert.equal(none.code, 4, none.stderr);
  assert.match(none.stderr, /Docker is not installed.*\n {2}fix: Install Docker Engine/);
  assert.equal((await fake({ info: { stdout: '64 268435456\n' } }).run('up', '--anyway')).code, 0);
});

test('a port that is taken is named, with the variable that moves it; one that the testbed itself has is not', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const config = published(port);
  const taken = await fake({ 'compose config': config }).run('up');
  assert.equal(taken.code, 5, taken.stderr);
  assert.match(taken.stderr, new RegExp(`port ${port} of 127\\.0\\.0\\.1, for orchestrator, is taken`));
  const own = await fake({ 'compose config': config, 'compose ps': { stdout: UP } }).run('up');
  assert.equal(own.code, 0, own.stderr);
  assert.match(own.stdout, new RegExp(`up already.*\\n.*http://127\\.0\\.0\\.1:${port}`));
});

test('up says what to open where, and passes its options on', async () => {
  const docker = fake({ 'compose config': published(45_123) });
  const { code, stdout, stderr } = await docker.run('up', '--build', '--grafana');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /The testbed is up \(\d+ s\)\.\n {2}http:\/\/127\.0\.0\.1:45123 /);
  assert.match(stdout, /tierbed run .* --runtime docker/);
  assert.ok(
    docker.calls().some((call) => /--profile grafana up --detach --wait --build$/.test(call)),
    docker.calls().join('\n'),
  );
  const json = await docker.run('up', '--json', '--no-wait');
  assert.equal(JSON.parse(json.stdout).already, false);
  assert.match(docker.calls().at(-1) ?? '', / up --detach$/);
});

/** Answers of a Docker whose image says that it was built of these sources; undefined: it has none. */
const builtOf = (sources: string | undefined, more: Record<string, FakeAnswer> = {}) => {
  const config = JSON.parse(published(45_124).stdout as string) as { services: Record<string, object> };
  Object.assign(config.services.orchestrator as object, { image: 'mine', build: { context: '.' } });
  const image = sources === undefined ? { code: 1, stderr: 'No such image: mine' } : { stdout: `${sources}\n` };
  return { 'compose config': { stdout: JSON.stringify(config) }, 'image inspect': image, ...more };
};

test('an image of older code is built anew, and a testbed that is up is left alone and told of', async () => {
  const now = (await sourcesDigest()) as string;
  const builds = async (answers: Record<string, FakeAnswer>, ...args: string[]) => {
    const docker = fake(answers);
    const ended = await docker.run('up', '--quiet', ...args);
    assert.equal(ended.code, 0, ended.stderr);
    const call = docker.calls().find((each) => / up /.test(each)) ?? '';
    return [call.includes('--build'), /older than/.test(ended.stdout), /was built now/.test(ended.stdout)];
  };
  assert.deepEqual(await builds(builtOf(now)), [false, false, false]);
  assert.deepEqual(await builds(builtOf('0123456789abcdef')), [true, false, true]);
  assert.deepEqual(await builds(builtOf('')), [true, false, true], 'built by hand');
  assert.deepEqual(await builds(builtOf(undefined)), [true, false, true]);
  assert.deepEqual(await builds(builtOf('0123456789abcdef'), '--no-build'), [false, true, false]);
  assert.deepEqual(await builds(builtOf(now), '--build'), [true, false, true]);
  const isUp = { 'compose ps': { stdout: UP } };
  assert.deepEqual(await builds(builtOf('0123456789abcdef', isUp)), [false, true, false]);
  assert.deepEqual(await builds(builtOf(now, isUp)), [false, false, false]);
});

test('the digest is that of what the image is made of, and the image is labelled with it', async () => {
  const root = join(work, 'sources');
  const write = (name: string, text: string): void => {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  };
  assert.equal(await sourcesDigest(root), undefined);
  write('.dockerignore', '*\n!cli\n!package.json\n**/node_modules\n');
  write('docker/Dockerfile', 'FROM x');
  write('package.json', '{}');
  write('cli/deep/main.ts', '1');
  const first = await sourcesDigest(root);
  for (const name of ['cli/node_modules/x.js', 'cli/x.log', 'docs/a.md']) write(name, 'else');
  assert.equal(await sourcesDigest(root), first);
  const digests = [first];
  for (const name of ['cli/deep/main.ts', 'package.json', 'docker/Dockerfile', 'cli/more.ts']) {
    write(name, '2');
    digests.push(await sourcesDigest(root));
  }
  assert.equal(new Set(digests).size, 5);
  assert.match(readFileSync(join(packageRoot, 'compose.yaml'), 'utf8'), new RegExp(`${SOURCES_ARGUMENT}: `));
  const dockerfile = readFileSync(join(packageRoot, 'docker/Dockerfile'), 'utf8');
  assert.ok(dockerfile.includes(`LABEL ${SOURCES_LABEL}=\${${SOURCES_ARGUMENT}}`));
});

test('what Docker says when it fails is shown, and what it means', async () => {
  const cases: [string, number, RegExp, RegExp][] = [
    [
      '#9 npm ERR! network\nfailed to solve: process "/bin/sh -c npm ci" did not complete successfully: exit code: 1\n',
      3,
      /does not build.*npm ERR! network/s,
      /tierbed up --build/,
    ],
    [
      'Error response from daemon: pull access denied for x, repository does not exist\n',
      4,
      /image cannot be fetched/,
      /TIERBED_PROMETHEUS_IMAGE/,
    ],
    ['Error: Pool overlaps with other one on this address space\n', 5, /addresses of the testbed/, /TIERBED_NET/],
    ['Bind for 127.0.0.1:7070 failed: port is already allocated\n', 5, /port .* is taken/, /TIERBED_API_PORT/],
    ['container tierbed-edge-1 is unhealthy\n', 6, /did not become ready/, /tierbed logs/],
    ['write /x: no space left on device\n', 7, /disk .* is full/, /prune/],
    ['something new\n', 6, /docker compose up failed:\n {2}\| something new/, /try again/],
  ];
  for (const [stderr, code, message, fix] of cases) {
    const ended = await fake({ 'compose up': { code: 1, stderr } }).run('up', '--quiet');
    assert.equal(ended.code, code, ended.stderr);
    assert.match(ended.stderr, message);
    assert.match(ended.stderr, new RegExp(`fix: .*${fix.source}`));
  }
});

test('a service that does not become ready is heard, and nothing is left; --keep leaves it for a look', async () => {
  const why =
    'tierbed: netem was asked for, and this kernel cannot do it\n  fix: Use --driver auto (TIERBED_LINK_DRIVER=auto)\n';
  const sick = (ps: string) => ({
    'compose up': { code: 1, stderr: 'dependency failed to start: container tierbed-edge-link-1 is unhealthy\n' },
    'compose ps': { stdout: ps },
    'compose logs --no-color --no-log-prefix --tail 20 edge-link': { stdout: `starting\n${why}` },
    'compose logs': { stdout: 'not asked for\n' },
  });
  const after = [container('edge-link', 'restarting', ''), container('edge', 'created', ''), container('orchestrator')];
  // There is nothing before, and these afterwards.
  const docker = fake({ ...sick(''), 'compose ps': { stdout: '', next: { stdout: after.join('\n') } } });
  const ended = await docker.run('up', '--quiet');
  assert.equal(ended.code, 6, ended.stderr);
  assert.match(
    ended.stderr,
    /edge-link \(restarting\):\n {2}\| tierbed: netem was asked for.*\n {2}\| {3}fix: Use --driver auto/,
  );
  assert.doesNotMatch(ended.stderr, /not asked for|starting$/m);
  assert.match(ended.stderr, /taken away again\.\n {2}fix: .*tierbed up --keep/);
  assert.match(docker.calls().at(-1) ?? '', / down --remove-orphans$/);

  const kept = fake({ ...sick(''), 'compose ps': { stdout: '', next: { stdout: after.join('\n') } } });
  assert.equal((await kept.run('up', '--quiet', '--keep')).code, 6);
  assert.ok(!kept.calls().some((call) => / down /.test(call)));
  const there = fake(sick(after.join('\n')));
  assert.match((await there.run('up', '--quiet')).stderr, /edge-link \(restarting\).*fix: See why: tierbed status/s);
  assert.ok(!there.calls().some((call) => / down /.test(call)), 'what was there before stays');
});

test('Ctrl-C during up ends Docker and takes away what was not there before', async () => {
  const fresh = fake({ 'compose up': { seconds: 60 } });
  const first = fresh.start('up');
  await untilCalled(fresh, / up /);
  await delay(500);
  first.child.kill('SIGINT');
  const ended = await first.ended;
  assert.equal(ended.code, 130, ended.stderr);
  assert.match(ended.stderr, /stopped; nothing is left running/);
  assert.match(fresh.calls().slice(-2).join('\n'), /^SIGINT\n.* down --remove-orphans$/);

  const there = fake({ 'compose up': { seconds: 60 }, 'compose ps': { stdout: UP } });
  const second = there.start('up');
  await untilCalled(there, / up /);
  await delay(500);
  second.child.kill('SIGINT');
  assert.equal((await second.ended).code, 130);
  assert.equal(there.calls().at(-1), 'SIGINT', 'what was there before stays');
});

test('down in the middle of a study stops the study first, and says how to finish it', async (t) => {
  const state = join(work, 'down-state');
  const { TIERBED_API: _api, TIERBED_TOKEN: _token, ...clean } = process.env;
  const env = { ...clean, TIERBED_STATE: state, TIERBED_CACHE: join(work, 'cache') };
  const server = await serve(['--port', '0', '--state', state], { env, cwd: work });
  t.after(async () => {
    server.child.kill('SIGTERM');
    await server.ended;
  });
  const answers = {
    'compose ps': { stdout: UP },
    'compose config': published(Number(new URL(server.url).port)),
    'compose exec': { stdout: readFileSync(join(state, 'token'), 'utf8') },
  };
  const study = await writeTinyStudy(join(work, 'down'), { rounds: 50 });
  const begun = await tierbed(['run', study, '--api', server.url, '--detach', '--json'], { env, cwd: work }).ended;
  const { id } = JSON.parse(begun.stdout) as { id: string };

  const docker = fake(answers);
  const kept = await docker.run('down', '-v');
  assert.equal(kept.code, 5, kept.stderr);
  assert.match(kept.stderr, new RegExp(`the study ${id} \\(tiny\\) is running, and -v removes its results`));
  assert.ok(!docker.calls().some((call) => / down /.test(call)));

  const status = await docker.run('status', '--json');
  assert.equal(JSON.parse(status.stdout).orchestrator.study.id, id, status.stderr);
  assert.equal(JSON.parse(status.stdout).services.length, 3);
  const table = await docker.run('status');
  assert.match(table.stdout, /orchestrator .* running .* healthy/);
  assert.match(table.stdout, new RegExp(id));

  const down = await docker.run('down');
  assert.equal(down.code, 0, down.stderr);
  assert.match(
    down.stdout,
    new RegExp(
      `The study ${id} was stopped after \\d+ of \\d+ samples\\.\\n {2}finish it with: tierbed up && tierbed study resume ${id}`,
    ),
  );
  assert.match(docker.calls().at(-1) ?? '', / down --remove-orphans$/);
  const shown = await tierbed(['study', 'show', id, '--api', server.url, '--json'], { env, cwd: work }).ended;
  assert.equal(JSON.parse(shown.stdout).state, 'stopped');
});

test('down and status when nothing is up', async () => {
  const docker = fake();
  const down = await docker.run('down', '-v');
  assert.deepEqual([down.code, down.stdout], [0, 'The testbed was not up.\n']);
  assert.match(docker.calls().at(-1) ?? '', / down --remove-orphans --volumes$/);
  const status = await fake({}, { TIERBED_API_PORT: '1' }).run('status');
  assert.equal(status.code, 6, status.stderr);
  assert.match(status.stderr, /testbed is not up.*fix: Start it: tierbed up/s);
});

test('logs are passed through, a wrong service is named, and JSON has a line each', async () => {
  const lines =
    'tierbed-edge-link-1  | 2026-01-02T03:04:05.6Z {"level":30}\nedge-1  | 2026-01-02T03:04:05.7Z up | and running\n';
  const docker = fake({ 'compose logs': { stdout: lines } });
  assert.equal((await docker.run('logs', 'edge', '--tail', '5')).stdout, lines);
  assert.match(docker.calls().at(-1) ?? '', / logs --tail 5 edge$/);
  const wrong = await docker.run('logs', 'egde');
  assert.deepEqual([wrong.code, /Did you mean 'edge'/.test(wrong.stderr)], [2, true], wrong.stderr);
  const json = await docker.run('logs', '--json');
  assert.deepEqual(
    json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { service: 'edge-link', time: '2026-01-02T03:04:05.6Z', text: '{"level":30}' },
      { service: 'edge', time: '2026-01-02T03:04:05.7Z', text: 'up | and running' },
    ],
  );
  const following = fake({ 'compose logs': { seconds: 60 } });
  const started = following.start('logs', '-f');
  await untilCalled(following, / logs /);
  await delay(500);
  started.child.kill('SIGINT');
  assert.equal((await started.ended).code, 0);
  assert.equal(parseLogLine('no such line'), undefined);
});

test('versions and answers of Compose, old and new', () => {
  assert.deepEqual(
    [
      isOlder('20.9.1', '20.10'),
      isOlder('20.10.0', '20.10'),
      isOlder('28.1', '20.10'),
      isOlder('19', '20.10'),
      isOlder('dev', '20.10'),
    ],
    [true, false, false, true, false],
  );
  const [edge, other] = ['edge', 'other'].map((name) => container(name));
  const expected = ['edge', 'other'].map((service) => ({
    service,
    state: 'running',
    health: 'healthy',
    status: 'Up 3 minutes',
  }));
  assert.deepEqual(parseServices(`[${edge},${other}]`), expected);
  assert.deepEqual(parseServices(`${edge}\n${other}\n`), expected);
  assert.deepEqual(parseServices(''), []);
  assert.ok(HEALTHY.version);
});
