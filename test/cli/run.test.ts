import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import type { SampleRow } from '../../analysis/columns.js';
import { readSamples } from '../../analysis/samples-csv.js';
import type { Summary } from '../../analysis/summary.js';
import { sumOfPartsNs } from '../analysis/rows.js';
import { TINY_RECIPES, writeTinyStudy } from '../services/orchestrator/tiny-study.js';

const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'tierbed-run-'));
const children: ChildProcess[] = [];
const env = { ...process.env, TIERBED_CACHE: join(work, 'cache') };
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(work, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Starts the command; `ended` gives what became of it. */
function start(...args: string[]): Started {
  const child = spawn(process.execPath, [MAIN, 'run', ...args], { env, cwd: work });
  children.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr }));
  return { child, ended };
}

function run(...args: string[]): Promise<Ended> {
  return start(...args).ended;
}

/** Waits for something that a run does. */
async function until(what: string, condition: () => boolean, { child, ended }: Started): Promise<void> {
  const seconds = 60;
  for (const end = Date.now() + seconds * 1000; !condition(); await delay(20)) {
    if (child.exitCode !== null) throw new Error(`ended before ${what}: ${(await ended).stderr}`);
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}`);
  }
}

/** Nodes that a run has started: its child processes, by tier. */
function nodesOf(pid: number): Map<string, number> {
  const nodes = new Map<string, number>();
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const args = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      if (Number(ppid) === pid && state !== 'Z') nodes.set(args[args.indexOf('--tier') + 1] ?? '', Number(entry));
    } catch {
      // It ended in the meantime.
    }
  }
  return nodes;
}

function alive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function allEnd(pids: Iterable<number>): Promise<void> {
  const left = new Set(pids);
  for (const end = Date.now() + 20_000; left.size > 0 && Date.now() < end; await delay(20)) {
    for (const pid of left) if (!alive(pid)) left.delete(pid);
  }
  assert.equal(left.size, 0, `nodes are left running: ${[...left]}`);
}

async function rowsOf(folder: string): Promise<SampleRow[]> {
  const rows: SampleRow[] = [];
  for await (const row of readSamples(join(folder, 'samples.csv'))) rows.push(row);
  return rows;
}

const linesIn = (folder: string): number =>
  existsSync(join(folder, 'samples.csv'))
    ? readFileSync(join(folder, 'samples.csv'), 'utf8').split('\n').length - 1
    : 0;

/** What this looks at of a proof of links.json. */
interface Proof {
  readonly when: string;
  readonly ok: boolean;
  readonly driver: { readonly name: string };
}

const hasProc = existsSync('/proc/self/stat');

test('a study runs on all placements, cold and warm, and its folder is complete', async () => {
  const study = await writeTinyStudy(join(work, 'all'));
  const out = join(work, 'all-results');
  const { code, stdout, stderr } = await run(study, '--out', out, '--json');
  assert.equal(code, 0, stderr);
  assert.match(stderr, /measuring|checking the links/);
  const files = [
    'environment.json',
    'events.json',
    'links.json',
    'plan.json',
    'samples.csv',
    'samples.parquet',
    'study.resolved.yaml',
    'summary.json',
  ];
  assert.deepEqual(readdirSync(out).sort(), files);

  const summary = JSON.parse(stdout) as Summary;
  assert.deepEqual(summary, JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')));
  assert.equal(summary.strategies.length, 14);
  assert.deepEqual(summary.samples, { planned: 28, recorded: 28, failed: 0, underFault: 0 });
  for (const s of summary.strategies) {
    assert.equal(s.n, 2, s.id);
    const sumNs = Object.values(s.partsMs ?? {}).reduce((sum, ms) => sum + Math.round(ms * 1e6), 0);
    assert.equal(sumNs, Math.round((s.latencyMs.mean ?? 0) * 1e6), s.id);
    assert.equal((s.partsMs?.load ?? 0) > 0, s.session === 'cold', s.id);
    assert.ok((s.partsMs?.compute ?? 0) > 0 && (s.partsMs?.preprocess ?? 0) > 0, s.id);
    const crossesLinks = s.placement !== 'mobile';
    assert.equal((s.bytes?.hop1Up ?? 0) > 0 && (s.partsMs?.hop1Up ?? 0) > 0, crossesLinks, s.id);
    assert.equal((s.bytes?.hop2Down ?? 0) > 0, /edge-cloud/.test(s.placement), s.id);
  }

  const rows = await rowsOf(out);
  for (const row of rows) {
    assert.equal(row.status, 'ok');
    assert.equal(sumOfPartsNs(row), Math.round((row.endToEndMs as number) * 1e6));
    assert.ok((row.otherMs as number) >= 0, `other is ${row.otherMs} in sample ${row.sample}`);
    // One way over a link takes at least its delay: 1 ms to the edge, 2 ms more to the cloud.
    if (/cloud$/.test(String(row.placement))) assert.ok(Number(row.hop1UpMs) + Number(row.hop2UpMs) >= 2);
  }
  for (const item of ['0.png', '1.png']) {
    const digests = new Set(rows.filter((row) => row.item === item).map((row) => row.outputSha256));
    assert.equal(digests.size, 1, 'with graph optimisation off every placement gives the same bytes');
  }
  assert.equal(new Set(rows.map((row) => row.outputSha256)).size, 2);

  const parquet = await parquetReadObjects({ file: await asyncBufferFromFile(join(out, 'samples.parquet')) });
  assert.deepEqual(
    parquet.map((row) => [row.sample, row.strategy, row.endToEndMs, row.correct]),
    rows.map((row) => [row.sample, row.strategy, row.endToEndMs, row.correct]),
  );

  const plan = JSON.parse(readFileSync(join(out, 'plan.json'), 'utf8'));
  assert.equal(plan.order.length, 2);
  assert.equal(plan.strategies.length, 14);
  const [environment] = JSON.parse(readFileSync(join(out, 'environment.json'), 'utf8')).runs;
  assert.equal(environment.nodes.length, 3);
  assert.equal(environment.deployments.length, 2 * (1 + 2 + 2 + 2 + 2 + 3 + 3));
  assert.ok(environment.deployments.every((d: { threads: number }) => d.threads >= 0));
  assert.match(environment.models[0].stages[0][0].sha256, /^[0-9a-f]{64}$/);
  const proofs = JSON.parse(readFileSync(join(out, 'links.json'), 'utf8')).runs as Proof[];
  assert.deepEqual(
    proofs.map(({ when, ok }) => `${when} ${ok}`),
    ['before true', 'after true'],
  );
  // What shaped the links, and what that cannot show, stands wherever somebody looks for it.
  for (const { driver } of [...proofs, { driver: environment.links }]) assert.equal(driver.name, 'proxy');
  for (const { notes } of [environment, summary]) {
    assert.ok(
      notes.some((note: string) => /relays of TCP streams \(proxy\): lost packets, .* not in these/.test(note)),
    );
  }
});

test('a run that is killed leaves no process, and is finished with no row lost, doubled or changed', {
  skip: !hasProc,
}, async () => {
  const study = await writeTinyStudy(join(work, 'killed'), { rounds: 4 });
  const out = join(work, 'killed-results');
  const first = start(study, '--out', out);
  await until('20 rows', () => linesIn(out) > 20, first);
  // It is to be in the middle still when the next command has looked at it, however long that takes.
  first.child.kill('SIGSTOP');
  const nodes = nodesOf(first.child.pid as number);
  assert.deepEqual([...nodes.keys()].sort(), ['cloud', 'edge', 'mobile']);

  const second = await run(study, '--out', out);
  assert.equal(second.code, 5);
  assert.match(second.stderr, /in use by another run/);

  first.child.kill('SIGKILL');
  await first.ended;
  await allEnd(nodes.values());

  const before = readFileSync(join(out, 'samples.csv'), 'utf8');
  assert.ok(before.endsWith('\n') && linesIn(out) < 113, `${linesIn(out)} lines when it was killed`);
  appendFileSync(join(out, 'samples.csv'), before.split('\n')[3]?.slice(0, 50) ?? '');

  const other = await writeTinyStudy(join(work, 'other'), { name: 'tiny', rounds: 5 });
  const refused = await run(other, '--resume', out);
  assert.equal(refused.code, 5);
  assert.match(refused.stderr, /rounds was 4 and is 5/);

  const resumed = await run(study, '--resume', out);
  assert.equal(resumed.code, 0, resumed.stderr);
  const after = readFileSync(join(out, 'samples.csv'), 'utf8');
  assert.ok(after.startsWith(before));
  const rows = await rowsOf(out);
  assert.deepEqual(
    rows.map((row) => row.sample),
    Array.from({ length: 112 }, (_, i) => i + 1),
  );
  assert.equal(new Set(rows.map((row) => `${row.round} ${row.item} ${row.strategy}`)).size, 112);
  const { order } = JSON.parse(readFileSync(join(out, 'plan.json'), 'utf8')) as { order: string[] };
  assert.equal(order.length, 8);
  assert.match(resumed.stdout, /the run was stopped and resumed/);

  const again = await run(study, '--resume', out);
  assert.equal(again.code, 0);
  const { runs } = JSON.parse(readFileSync(join(out, 'environment.json'), 'utf8')) as { runs: unknown[] };
  assert.equal(runs.length, 2, 'a run that is complete starts no nodes');
  assert.equal(readFileSync(join(out, 'samples.csv'), 'utf8'), after);
});

test('Ctrl-C stops a run in good order', { skip: !hasProc }, async () => {
  const study = await writeTinyStudy(join(work, 'stopped'), { rounds: 50 });
  const out = join(work, 'stopped-results');
  const { child, ended } = start(study, '--out', out);
  await until('5 rows', () => linesIn(out) > 5, { child, ended });
  const nodes = [...nodesOf(child.pid as number).values()];
  assert.equal(nodes.length, 3);
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  assert.equal(code, 130);
  assert.match(stderr, /the run was stopped\n {2}\d+ of 1400 samples are recorded in /);
  assert.match(stderr, /finish it with: tierbed run .*stopped\/tiny\.yaml --resume .*stopped-results/);
  assert.ok(!nodes.some(alive), 'a node is left running');
  assert.ok(!readdirSync(out).includes('.lock'));
  const rows = await rowsOf(out);
  assert.ok(
    rows.every((row) => row.status === 'ok'),
    'the sample that was stopped is not a failed one',
  );
});

test('a node that dies ends the run with its name, and what was recorded stays', { skip: !hasProc }, async () => {
  const study = await writeTinyStudy(join(work, 'dead'), {
    rounds: 50,
    placements: ['mobile', 'edge'],
    recipes: { whole: [] },
  });
  const out = join(work, 'dead-results');
  const { child, ended } = start(study, '--out', out);
  await until('5 rows', () => linesIn(out) > 5, { child, ended });
  const nodes = nodesOf(child.pid as number);
  process.kill(nodes.get('edge') as number, 'SIGKILL');
  const { code, stderr } = await ended;
  assert.equal(code, 6, stderr);
  assert.match(stderr, /the edge node is lost: ended by SIGKILL/);
  assert.match(stderr, /--resume/);
  assert.ok(![...nodes.values()].some(alive), 'a node is left running');
  const rows = await rowsOf(out);
  const failed = rows.filter((row) => row.status !== 'ok');
  assert.ok(rows.length > 5);
  assert.equal(failed.length, 1);
  assert.match(String(failed[0]?.error), /edge node is lost/);
  assert.equal(failed[0]?.sample, rows.length);
});

test('a picture that is not one is in no sample, and what is printed and written names it', async () => {
  const folder = join(work, 'bad-picture');
  const study = await writeTinyStudy(folder, {
    placements: ['mobile', 'edge'],
    recipes: { whole: [] },
    payload: 'tensor',
  });
  writeFileSync(join(folder, 'pictures', '1.png'), 'this is text');
  const out = join(work, 'bad-picture-results');
  const { code, stdout, stderr } = await run(study, '--out', out, '--quiet');
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  assert.match(stdout, /One item of tiny cannot be read and is in no figure: 1\.png \(.*picture/);
  const { unreadable } = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as Summary;
  assert.deepEqual(
    unreadable.map(({ workload, item }) => [workload, item]),
    [['tiny', '1.png']],
  );
  const rows = await rowsOf(out);
  assert.equal(rows.length, 4);
  for (const row of rows) {
    assert.deepEqual([row.item, row.status], ['0.png', 'ok']);
    // The payload is the tensor: 3 x 16 x 16 float32 numbers, where the encoded picture has under 1 kB.
    if (row.placement === 'edge') assert.ok((row.hop1UpBytes as number) > 3072);
  }
});

test('what is wrong with a study is said before anything runs', async () => {
  const cases: [Record<string, unknown>, number, RegExp][] = [
    [
      { recipes: { ...TINY_RECIPES, halves: [{ partition: { at: ['relu9'] } }] } },
      3,
      /tiny\.yaml:\d+: recipes\.halves: .*relu9/,
    ],
    [
      { recipes: { ...TINY_RECIPES, halves: [{ partition: { at: { tiny: ['relu1'], pets: ['relu1'] } } }] } },
      3,
      /recipes\.halves\[0\]: .*'pets'/,
    ],
    [{ recipes: { whole: [] } }, 3, /placements\[3\]: mobile-edge has 2 tiers, and no recipe gives 2 stages/],
    [
      { placements: ['mobile', 'mobile-edge'] },
      3,
      /recipes\.thirds: its variants have 3 stages, and no placement has as many tiers/,
    ],
    [{ items: 3 }, 3, /items: 3 items, but the workload 'tiny' has 2/],
    [{ links: { 'mobile-edge': 'wifi', 'edge-cloud': 'wify' } }, 3, /there is no link preset 'wify'.*\n.*'wifi'/],
    [{ rouns: 3 }, 3, /rouns: unknown key; allowed: .*\n.*'rounds'/],
  ];
  for (const [i, [changes, expected, message]] of cases.entries()) {
    const { code, stderr } = await run(
      await writeTinyStudy(join(work, `wrong-${i}`), changes),
      '--out',
      join(work, 'never'),
    );
    assert.equal(code, expected, stderr);
    assert.match(stderr, message);
  }
  const folder = join(work, 'wrong-file');
  const study = await writeTinyStudy(folder);
  rmSync(join(folder, 'tiny.onnx'));
  const { code, stderr } = await run(study, '--out', join(work, 'never'));
  assert.equal(code, 4, stderr);
  assert.match(stderr, /tiny\.yaml:\d+: workloads\.tiny\.model: .*tiny\.onnx/);
  assert.ok(!existsSync(join(work, 'never')));
  assert.equal((await run('no-such-study.yaml')).code, 4);
  assert.equal((await run(study, '--runtime', 'moon')).code, 2);
  assert.equal((await run(study, '--out', 'a', '--resume', 'b')).code, 2);
});

test('--check prints the plan and runs nothing', async () => {
  const study = await writeTinyStudy(join(work, 'check'));
  const { code, stdout } = await run(study, '--check');
  assert.equal(code, 0);
  assert.match(stdout, /tiny\.yaml is valid: 14 strategies, 1 rounds, payload encoded, 28 samples/);
  assert.match(stdout, /tiny\.thirds\.mobile-edge-cloud\.warm/);
  const json = await run(study, '--check', '--json');
  assert.equal(JSON.parse(json.stdout).samples, 28);
  assert.ok(!existsSync(join(work, 'results')));
});

test('a results folder that cannot be written is refused', async () => {
  const study = await writeTinyStudy(join(work, 'sealed'));
  const { code, stderr } = await run(study, '--out', join(study, 'below-a-file'));
  assert.equal(code, 5);
  assert.match(stderr, /cannot be written/);
});
