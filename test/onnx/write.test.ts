import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GraphBuilder } from '../../onnx/build.js';
import { initializerBytes } from '../../onnx/initializer.js';
import type { Initializer, Model } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import { denseTensor, float32Tensor } from '../../onnx/tensor.js';
import { encodeModel, writeModel } from '../../onnx/write.js';
import { runModel, sameBytes, seededInputs } from '../support/run-model.js';

const root = mkdtempSync(join(tmpdir(), 'tierbed-write-'));
after(() => rmSync(root, { recursive: true }));

/** A folder of its own for each test. */
function folder(): string {
  return mkdtempSync(join(root, 'f-'));
}

/** y = If(flag, x * large, x) + small, with a weight in the branch. */
function sample(): Model {
  const then = new GraphBuilder({ name: 'then' });
  const large = then.initializer('branch', float32Tensor([2000], new Float32Array(2000).fill(2)));
  then.output(then.node('Identity', [large], {}, 'then_y'), 'float32', [2000]);
  const otherwise = new GraphBuilder({ name: 'else' });
  otherwise.output(otherwise.node('Identity', [otherwise.float32(0)], {}, 'else_y'), 'float32', []);
  const g = new GraphBuilder({ name: 'sample' });
  const x = g.input('x', 'float32', ['N', 2000]);
  const flag = g.input('flag', 'bool', []);
  const w = g.initializer(
    'large',
    float32Tensor(
      [2000],
      Float32Array.from({ length: 2000 }, (_, i) => i),
    ),
  );
  const b = g.initializer('small', float32Tensor([1], Float32Array.of(5)));
  const chosen = g.node('If', [flag], { then_branch: then.buildGraph(), else_branch: otherwise.buildGraph() });
  const sum = g.node('Add', [g.node('Mul', [x, w]), b]);
  g.output(g.node('Add', [sum, chosen], {}, 'y'), 'float32', ['N', 2000]);
  return g.build();
}

function kinds(model: Model): Record<string, string> {
  return Object.fromEntries(model.graph.initializers.map(({ name, data }) => [name, data.kind]));
}

test('a model written with external data computes the same, and again when written back into one file', async () => {
  const dir = folder();
  const model = sample();
  const feeds = seededInputs(model);
  const expected = await runModel(model, feeds);
  await writeModel(model, join(dir, 'out.onnx'), { external: 'always' });
  assert.deepEqual(readdirSync(dir).sort(), ['out.onnx', 'out.onnx.data']);
  assert.ok(statSync(join(dir, 'out.onnx')).size < 2000);
  assert.ok(sameBytes(await runModel(join(dir, 'out.onnx'), feeds), expected));
  const outside = await readModel(join(dir, 'out.onnx'));
  assert.deepEqual(kinds(outside), { large: 'external', small: 'raw' });
  for (const { data } of outside.graph.initializers) if (data.kind === 'external') assert.equal(data.offset % 4096, 0);
  await writeModel(outside, join(dir, 'one.onnx'));
  assert.ok(!readdirSync(dir).includes('one.onnx.data'));
  assert.ok(sameBytes(await runModel(readFileSync(join(dir, 'one.onnx')), feeds), expected));
  // From one data file into another, piece by piece.
  await writeModel(outside, join(dir, 'copy.onnx'), { external: 'always' });
  rmSync(join(dir, 'out.onnx.data'));
  assert.ok(sameBytes(await runModel(join(dir, 'copy.onnx'), feeds), expected));
});

test('the threshold says which weights stay inside', async () => {
  const dir = folder();
  await writeModel(sample(), join(dir, 'all.onnx'), { external: 'always', thresholdBytes: 1 });
  assert.deepEqual(kinds(await readModel(join(dir, 'all.onnx'))), { large: 'external', small: 'external' });
  await writeModel(sample(), join(dir, 'none.onnx'), { external: 'always', thresholdBytes: 1e6 });
  assert.deepEqual(kinds(await readModel(join(dir, 'none.onnx'))), { large: 'raw', small: 'raw' });
});

test('a weight larger than one piece is copied whole', async () => {
  const dir = folder();
  const data = new Uint8Array((17 << 20) + 4);
  for (let i = 0; i < data.length; i += 1000) data[i] = i % 251;
  const g = new GraphBuilder({ name: 'g' });
  g.output(g.node('Relu', [g.initializer('w', denseTensor('float32', [data.length / 4], data))]), 'float32');
  await writeModel(g.build(), join(dir, 'a.onnx'), { external: 'always' });
  await writeModel(await readModel(join(dir, 'a.onnx')), join(dir, 'b.onnx'), { external: 'always' });
  const weight = (await readModel(join(dir, 'b.onnx'))).graph.initializers[0] as Initializer;
  assert.equal(Buffer.compare(initializerBytes(weight), data), 0);
});

/** A model whose one weight is 3 GiB in a sparse file. */
function huge(dir: string): Model {
  writeFileSync(join(dir, 'huge.bin'), '');
  truncateSync(join(dir, 'huge.bin'), 3 * 2 ** 30);
  const g = new GraphBuilder({ name: 'huge' });
  g.output(g.node('Relu', [g.initializer('w', denseTensor('uint8', [0], new Uint8Array()))]), 'uint8');
  const model = g.build();
  const [weight] = model.graph.initializers;
  assert.ok(weight);
  const data = { kind: 'external', path: join(dir, 'huge.bin'), offset: 0, length: 3 * 2 ** 30 } as const;
  return { ...model, graph: { ...model.graph, initializers: [{ ...weight, dims: [3 * 2 ** 30], data }] } };
}

test('more than protobuf holds is refused with the way out', async () => {
  const dir = folder();
  const refusal = { kind: 'invalid', message: /over 2 GiB/, fix: /external data/ };
  assert.throws(() => encodeModel(huge(dir)), refusal);
  await assert.rejects(writeModel(huge(dir), join(dir, 'm.onnx'), { external: 'never' }), refusal);
  assert.deepEqual(readdirSync(dir), ['huge.bin']);
});

test('the file that the weights are read from is not replaced', async () => {
  const dir = folder();
  const path = join(dir, 'm.onnx');
  await writeModel(sample(), path, { external: 'always' });
  const model = await readModel(path);
  await assert.rejects(writeModel(model, path, { external: 'always' }), {
    kind: 'refused',
    message: /m\.onnx\.data holds weights/,
  });
  assert.ok(sameBytes(await runModel(path, seededInputs(model)), await runModel(sample(), seededInputs(model))));
});

test('a folder that is not there, or may not be written to, is named', async () => {
  await assert.rejects(writeModel(sample(), join(root, 'no', 'm.onnx')), {
    kind: 'missing',
    message: /no folder .*no/,
  });
  if (process.getuid?.() === 0) return;
  const dir = folder();
  mkdirSync(join(dir, 'locked'), { mode: 0o555 });
  await assert.rejects(writeModel(sample(), join(dir, 'locked', 'm.onnx')), {
    kind: 'refused',
    message: /may not be written/,
  });
});

/** Writes `sample()` in a process whose files may have 2 blocks of 512 bytes, as on a disk that is almost full. */
function writeOnFullDisk(path: string, external: string): { kind: string; message: string } {
  const script = `
    const { writeModel } = await import(${JSON.stringify(new URL('../../onnx/write.js', import.meta.url).href)});
    const { readModel } = await import(${JSON.stringify(new URL('../../onnx/read.js', import.meta.url).href)});
    const model = await readModel(process.argv[1]);
    await writeModel(model, process.argv[2], { external: process.argv[3] }).then(
      () => console.log(JSON.stringify({ kind: 'none', message: '' })),
      ({ kind, message }) => console.log(JSON.stringify({ kind, message })),
    );`;
  const source = join(root, 'source.onnx');
  writeFileSync(source, encodeModel(sample()));
  const child = spawnSync(
    'bash',
    [
      '-c',
      'trap "" XFSZ; ulimit -f 2; exec "$@"',
      'bash',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
      source,
      path,
      external,
    ],
    { encoding: 'utf8' },
  );
  return JSON.parse(child.stdout) as { kind: string; message: string };
}

test('a full disk is reported, and leaves the file that was there', () => {
  for (const external of ['never', 'always']) {
    const dir = folder();
    const path = join(dir, 'm.onnx');
    writeFileSync(path, 'before');
    const { kind, message } = writeOnFullDisk(path, external);
    assert.equal(kind, 'exhausted', message);
    assert.match(message, /no space left to write .*m\.onnx/);
    assert.equal(readFileSync(path, 'utf8'), 'before');
    assert.deepEqual(readdirSync(dir), ['m.onnx']);
  }
});

test('a model is written to a path with a link to it', async () => {
  const dir = folder();
  execFileSync('ln', ['-s', dir, join(root, 'link')]);
  await writeModel(sample(), join(root, 'link', 'm.onnx'));
  assert.equal((await readModel(join(dir, 'm.onnx'))).graph.nodes.length, 4);
});
