import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { packageRoot, version } from '../../base/paths.js';
import { readModel } from '../../onnx/read.js';
import { writeModel } from '../../onnx/write.js';
import type { Manifest } from '../../operators/manifest.js';
import { hashFile } from '../../operators/variant.js';
import { writeTinyWorkload } from '../operators/tiny-workload.js';
import { runModel, sameBytes, seededInputs } from '../support/run-model.js';

const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const TEST_OPERATORS = new URL('../operators/test-operators.js', import.meta.url).href;
const work = mkdtempSync(join(tmpdir(), 'tierbed-apply-'));
const cache = join(work, 'cache');
const children: ChildProcess[] = [];
let workload: string;
let model: string;

before(async () => {
  workload = await writeTinyWorkload(join(work, 'tiny'));
  model = join(work, 'tiny', 'tiny.onnx');
});
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(work, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], { cwd = work } = {}): { child: ChildProcess; ended: Promise<Ended> } {
  const env = { ...process.env, TIERBED_CACHE: cache };
  const child = spawn(process.execPath, ['--import', TEST_OPERATORS, MAIN, 'apply', ...args], { env, cwd });
  children.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  return { child, ended: once(child, 'close').then(([code]) => ({ code, stdout, stderr })) };
}

const apply = (...args: string[]): Promise<Ended> => start(args).ended;

/** Applies a recipe to the tiny workload, and gives its manifests. */
async function made(recipe: string, out: string, ...args: string[]): Promise<(Manifest & { folder: string })[]> {
  const { code, stdout, stderr } = await apply(
    recipe,
    '--workload',
    workload,
    '--out',
    out,
    '--json',
    '--quiet',
    ...args,
  );
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { variants: (Manifest & { folder: string })[] }).variants;
}

const manifestOf = (folder: string): Manifest => {
  return JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
};

const schema = JSON.parse(readFileSync(join(packageRoot, 'docs', 'manifest.schema.json'), 'utf8')) as object;
const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(schema);

function assertFits(manifest: unknown): void {
  assert.ok(validate(manifest), JSON.stringify(validate.errors, null, 2));
}

test('a model as it is gets a folder with its manifest', async () => {
  const out = join(work, 'same');
  const [printed, ...more] = await made('identity', out);
  assert.equal(more.length, 0);
  assert.deepEqual(readdirSync(out).sort(), ['manifest.json', 'model.onnx']);
  assert.deepEqual(readFileSync(join(out, 'model.onnx')), readFileSync(model));
  const manifest = manifestOf(out);
  assertFits(manifest);
  assert.deepEqual(printed, { folder: out, ...manifest });
  assert.deepEqual(
    [manifest.name, manifest.tierbed, manifest.manifest, manifest.node],
    ['identity', version, 1, process.version],
  );
  assert.match(manifest.runtime, /^onnxruntime-node \d+\.\d+\.\d+$/);
  const { sha256, bytes } = await hashFile(model);
  assert.deepEqual(manifest.input.files, [{ name: 'tiny.onnx', sha256, bytes }]);
  assert.deepEqual(manifest.stages[0]?.files, [{ name: 'model.onnx', sha256, bytes }]);
  // 3*4 and 4*8 kernels of 3x3, their biases, and the head.
  const parameters = 3 * 4 * 9 + 4 + 4 * 8 * 9 + 8 + 128 * 3;
  const macs = 8 * 8 * 4 * 27 + 4 * 4 * 8 * 36 + 128 * 3;
  assert.deepEqual(manifest.output, { bytes, parameters, macs });
  assert.deepEqual([manifest.stages[0]?.inputs, manifest.stages[0]?.outputs], [['image'], ['scores']]);
  const { accuracy, cost } = manifest;
  assert.equal(accuracy?.metric, 'top1');
  assert.deepEqual([accuracy?.before.n, accuracy?.after.n, accuracy?.drop], [4, 4, 0]);
  assert.equal(accuracy?.before.value, accuracy?.after.value);
  assert.ok(cost.wallMs >= cost.buildMs + cost.evaluateMs && cost.evaluateMs > 0 && cost.peakMemoryBytes > 10e6);
});

test('stages compute what the model does, one behind the other', async () => {
  const out = join(work, 'thirds');
  const [manifest] = await made('partition', out, '--set', 'partition.at=[relu1, relu2]');
  assertFits(manifestOf(out));
  assert.deepEqual(readdirSync(out).sort(), ['manifest.json', 'stage-0.onnx', 'stage-1.onnx', 'stage-2.onnx']);
  const feeds = seededInputs(await readModel(model));
  let values = feeds;
  for (const stage of manifest?.stages ?? []) {
    const [file] = stage.files;
    const path = join(out, file?.name as string);
    assert.deepEqual(await hashFile(path), { sha256: file?.sha256, bytes: file?.bytes });
    assert.equal(stage.bytes, statSync(path).size);
    values = await runModel(path, values);
  }
  assert.ok(sameBytes(values, await runModel(model, feeds)));
  assert.deepEqual(
    manifest?.stages.map(({ inputs, outputs }) => [inputs, outputs]),
    [
      [['image'], ['relu1']],
      [['relu1'], ['relu2']],
      [['relu2'], ['scores']],
    ],
  );
  const whole = manifestOf(join(work, 'same')).output;
  assert.deepEqual([manifest?.output.parameters, manifest?.output.macs], [whole.parameters, whole.macs]);
  assert.deepEqual(manifest?.recipe[0]?.options, { at: ['relu1', 'relu2'] });
});

test('external data goes beside its model, that of each stage under a name of its own', async () => {
  const folder = join(work, 'external');
  mkdirSync(folder);
  const path = join(folder, 'model.onnx');
  await writeModel(await readModel(model), path, { external: 'always', thresholdBytes: 0 });
  const out = join(work, 'external-out');
  const feeds = seededInputs(await readModel(model));
  const expected = await runModel(model, feeds);
  const at = ['--set', 'partition.at=relu1'];
  for (const [recipe, args] of [
    ['identity', [] as string[]],
    ['partition', at],
  ] as const) {
    const given = [recipe, path, '--workload', workload, '--out', out, '--force', '--quiet', '--json', ...args];
    const { code, stderr } = await apply(...given);
    assert.equal(code, 0, stderr);
    let values = feeds;
    for (const { files } of manifestOf(out).stages) {
      assert.deepEqual(
        await Promise.all(files.map(async ({ name }) => ({ name, ...(await hashFile(join(out, name))) }))),
        files,
      );
      values = await runModel(join(out, files[0]?.name as string), values);
    }
    assert.ok(sameBytes(values, expected), recipe);
  }
  assert.equal(manifestOf(out).input.files.length, 2);
  // Two stages that both have their data in a file of one name.
  const twice = ['sneaky', path, '--workload', workload, '--out', out, '--force', '--quiet', '--no-evaluate'];
  assert.equal((await apply(...twice)).code, 0);
  assert.deepEqual(
    manifestOf(out).stages.map(({ files }) => files.map(({ name }) => name)),
    [0, 1].map((i) => [`stage-${i}.onnx`, `stage-${i}.onnx.data`]),
  );
  for (const i of [0, 1]) assert.ok(sameBytes(await runModel(join(out, `stage-${i}.onnx`), feeds), expected));
});

test('a worse variant says by how many points, and a table says so, too', async () => {
  const [manifest] = await made('erase', join(work, 'erased'), '--set', 'erase.weight=head');
  // Without its head it answers `red`, which two of four pictures are: the first and the last.
  assert.equal(manifest?.accuracy?.after.value, 0.5);
  assert.equal(manifest?.accuracy?.drop, 100 * ((manifest?.accuracy?.before.value ?? 0) - 0.5));
  const { code, stdout, stderr } = await apply(
    ...['erase+partition', '--set', 'erase.weight=head', '--set', 'partition.at=relu1'],
    ...['--workload', workload, '--out', join(work, 'table')],
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /│ before .*\d kB .*│ 4 /);
  assert.match(stdout, /│ after .*│ 50\.0 % │ +4 /);
  assert.match(stdout, /│ {3}stage-1\.onnx /);
  assert.match(stdout, /│ erase .*│ weight: "head" .*│ yes +│/);
  assert.match(stdout, /│ partition .*ms │ no +│/);
  assert.match(stdout, /top1: (as before|\d+\.\d\d points (worse|better) than before)/);
});

test('nothing is evaluated where it is not wanted', async () => {
  const out = join(work, 'unevaluated');
  const [manifest] = await made('identity', out, '--no-evaluate');
  assertFits(manifestOf(out));
  assert.equal(manifest?.accuracy, null);
  assert.equal(manifest?.cost.evaluateMs, 0);
});

test('several variants get a folder each', async () => {
  const out = join(work, 'several');
  const variants = await made('both', out);
  assert.deepEqual(readdirSync(out).sort(), ['both-a', 'both-b']);
  for (const { folder, name } of variants) {
    assert.equal(folder, join(out, name));
    assertFits(manifestOf(folder));
    assert.ok(existsSync(join(folder, 'model.onnx')));
  }
  assert.equal((await made('both', out, '--force')).length, 2);
  const { code, stderr } = await apply('nothing', '--workload', workload, '--out', join(work, 'nothing'));
  assert.equal(code, 3);
  assert.match(stderr, /nothing makes nothing of the workload 'tiny'/);
  assert.ok(!existsSync(join(work, 'nothing')));
});

test('a folder is not written to unless it is empty or holds a variant that is to be replaced', async () => {
  const out = join(work, 'kept');
  mkdirSync(out);
  await made('identity', out);
  const refused = await apply('note', '--workload', workload, '--out', out);
  assert.equal(refused.code, 5);
  assert.match(refused.stderr, /kept is not empty\n {2}fix: .*or replace the variant that is there with --force/);
  await made('partition', out, '--force', '--set', 'partition.at=relu1');
  assert.deepEqual(readdirSync(out).sort(), ['manifest.json', 'stage-0.onnx', 'stage-1.onnx']);
  writeFileSync(join(out, 'notes.txt'), 'mine');
  const foreign = await apply('note', '--workload', workload, '--out', out, '--force');
  assert.equal(foreign.code, 5);
  assert.match(foreign.stderr, /kept holds what no recipe made: notes\.txt/);
  assert.deepEqual(readdirSync(out).sort(), ['manifest.json', 'notes.txt', 'stage-0.onnx', 'stage-1.onnx']);
  const file = await apply('identity', '--workload', workload, '--out', model);
  assert.equal(file.code, 5);
  assert.match(file.stderr, /tiny\.onnx is a file/);
});

test('a recipe that fails while it is replacing a variant leaves it', async () => {
  const out = join(work, 'left');
  await made('identity', out);
  const { code } = await apply(
    'partition',
    '--set',
    'partition.at=nowhere',
    '--workload',
    workload,
    '--out',
    out,
    '--force',
  );
  assert.equal(code, 3);
  assert.deepEqual(readdirSync(out).sort(), ['manifest.json', 'model.onnx']);
  assert.deepEqual(
    readdirSync(work).filter((name) => name.startsWith('building-')),
    [],
  );
});

test('the folder one stands in is filled, and so is one behind a link', async () => {
  const cwd = join(work, 'here');
  mkdirSync(cwd);
  const { ended } = start(['identity', '--workload', workload, '--out', '.', '--quiet'], { cwd });
  assert.equal((await ended).code, 0);
  assert.deepEqual(readdirSync(cwd).sort(), ['manifest.json', 'model.onnx']);
  const inode = statSync(cwd).ino;
  assert.equal((await start(['note', '--workload', workload, '--out', '.', '--force'], { cwd }).ended).code, 0);
  assert.equal(statSync(cwd).ino, inode);
  assert.equal(manifestOf(cwd).name, 'note');
  assert.deepEqual(readdirSync(cwd).sort(), ['manifest.json', 'model.onnx']);

  const behind = join(work, 'behind');
  mkdirSync(behind);
  symlinkSync(behind, join(work, 'link'));
  await made('identity', join(work, 'link'));
  assert.deepEqual(readdirSync(behind).sort(), ['manifest.json', 'model.onnx']);
});

test('a disk that fills up while the folder is written leaves no variant', async (t: TestContext) => {
  const disk = join(work, 'disk');
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=4096`, 'tmpfs', disk], {
      stdio: 'ignore',
    });
  } catch {
    t.skip('mounting a small disk takes root');
    return;
  }
  t.after(() => execFileSync('umount', ['-l', disk]));
  for (const out of [disk, join(disk, 'deep', 'er')]) {
    const { code, stderr } = await apply('note', '--workload', workload, '--out', out);
    assert.equal(code, 7, stderr);
    assert.match(stderr, /there is no room left to write .*disk.*\n {2}fix: Free some space there/);
    assert.deepEqual(readdirSync(disk), []);
  }
});

/** Starts a recipe, and sends Ctrl-C when its operator is at work. */
async function stopped(recipe: string, out: string, ...args: string[]): Promise<Ended> {
  const { child, ended } = start([recipe, '--workload', workload, '--out', out, ...args]);
  const variants = join(cache, 'variants');
  const isBuilding = (): boolean => {
    const names = existsSync(variants) ? readdirSync(variants) : [];
    return names.some((name) => existsSync(join(variants, name, 'half.onnx')));
  };
  for (let i = 0; !isBuilding(); i++) {
    assert.ok(i < 600 && child.exitCode === null, 'the operator began');
    await delay(50);
  }
  child.kill('SIGINT');
  const result = await ended;
  assert.deepEqual(
    readdirSync(variants).filter((name) => name.startsWith('building-')),
    [],
  );
  return result;
}

test('Ctrl-C ends it and leaves nothing', async () => {
  const { code, stderr } = await stopped('slow', join(work, 'stopped', 'deep'));
  assert.equal(code, 130);
  assert.match(stderr, /cancelled while it was slow/);
  assert.ok(!existsSync(join(work, 'stopped')));
});

test('Ctrl-C ends an operator that does not look, too', async () => {
  const done = join(work, 'done');
  const { code } = await stopped('deaf', join(work, 'ended', 'deep'), '--set', `deaf.done=${done}`);
  assert.equal(code, 130);
  assert.ok(!existsSync(done), 'it did not come to its end');
  assert.ok(!existsSync(join(work, 'ended')));
});

test('items that cannot be read are named, and where none can it is an error', async () => {
  const folder = join(work, 'unreadable');
  const path = await writeTinyWorkload(folder);
  writeFileSync(join(folder, 'pictures', '1.png'), 'no picture');
  const out = join(folder, 'out');
  const { code, stdout, stderr } = await apply('identity', '--workload', path, '--out', out, '--quiet');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /1 items? could not be read and do(es)? not count: 1\.png/);
  const { accuracy } = manifestOf(out);
  assert.equal(accuracy?.after.n, 3);
  assert.equal(accuracy?.after.unreadable[0]?.id, '1.png');
  for (const i of [0, 2, 3]) writeFileSync(join(folder, 'pictures', `${i}.png`), 'no picture');
  const none = await apply('identity', '--workload', path, '--out', join(folder, 'none'), '--quiet');
  assert.equal(none.code, 3);
  assert.match(none.stderr, /no item of tiny can be read; 0\.png: /);
  assert.ok(!existsSync(join(folder, 'none')));
});

test('what is wrong is said before anything is made', async () => {
  const out = join(work, 'wrong');
  const cases: [string[], number, RegExp][] = [
    [['nte', '--workload', workload, '--out', out], 3, /there is no operator 'nte'.*\n {2}fix: Did you mean 'note'\?/],
    [
      ['note', '--set', 'note.n=x', '--workload', workload, '--out', out],
      2,
      /--set note\.n=x: note\.n: expected integer/,
    ],
    [
      ['partition+note', '--set', 'partition.at=a', '--workload', workload, '--out', out],
      3,
      /fix: Put note before partition/,
    ],
    [
      ['partition', '--set', 'partition.at.other=a', '--workload', workload, '--out', out],
      3,
      /partition\.at names the workload 'other'/,
    ],
    [['note', '--workload', join(work, 'none.yaml'), '--out', out], 4, /none\.yaml/],
    [['note', join(work, 'none.onnx'), '--workload', workload, '--out', out], 4, /none\.onnx/],
    [['note', '--workload', workload], 2, /--out is missing/],
    [['note', '--out', out], 2, /--workload is missing/],
    [[], 2, /what recipe\?/],
    [['note', '--threads', 'x', '--workload', workload, '--out', out], 2, /--threads x: not a whole number/],
  ];
  for (const [args, code, message] of cases) {
    const ended = await apply(...args);
    assert.match(ended.stderr, message, args.join(' '));
    assert.equal(ended.code, code, args.join(' '));
    assert.equal(ended.stdout, '');
  }
  assert.ok(!existsSync(out));
});

test('the operators are listed', async () => {
  const { code, stdout } = await apply('--list');
  assert.equal(code, 0);
  assert.match(stdout, /│ partition .*│ at, /);
  const listed = JSON.parse((await apply('--list', '--json')).stdout) as { name: string; options: object }[];
  assert.ok(listed.some(({ name, options }) => name === 'partition' && 'properties' in options));
});

test('what a killed run leaves beside the folder is removed by a later one', async () => {
  const around = join(work, 'killed');
  mkdirSync(around);
  const out = join(around, 'out');
  const { child, ended } = start(['slow', '--workload', workload, '--out', out]);
  for (let i = 0; readdirSync(around).length === 0; i++) {
    assert.ok(i < 600 && child.exitCode === null, 'the run began');
    await delay(50);
  }
  child.kill('SIGKILL');
  await ended;
  const [left = ''] = readdirSync(around);
  assert.match(left, /^building-out-/);
  await made('identity', out);
  assert.deepEqual(readdirSync(around).sort(), [left, 'out']);
  const twoHoursAgo = Date.now() / 1000 - 7200;
  utimesSync(join(around, left), twoHoursAgo, twoHoursAgo);
  await made('identity', out, '--force');
  assert.deepEqual(readdirSync(around), ['out']);
});
