import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { TierbedError } from '../../base/errors.js';
import { float32Values } from '../../onnx/tensor.js';
import { decodeItemFile } from '../../workloads/item-file.js';
import { type DataSpec, loadItems } from '../../workloads/loaders/index.js';
import { resolveStudyPath } from '../../workloads/paths.js';
import { createPreprocessor } from '../../workloads/preprocess/index.js';

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tierbed-loaders-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A reference to an environment variable, as a study has it. */
const variable = (name: string): string => `\${${name}}`;

const load = (spec: DataSpec, dir: string) =>
  loadItems(spec, { resolvePath: (path) => resolveStudyPath(path, dir, { DATA: dir }) });

function is(kind: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TierbedError, String(error));
    assert.equal(error.kind, kind);
    assert.match(`${error.message} ${error.fix}`, text);
    return true;
  };
}

describe('paths of a study', () => {
  it('take variables from the environment and start at the study', () => {
    assert.equal(resolveStudyPath('a/b', '/studies', {}), '/studies/a/b');
    assert.equal(resolveStudyPath('/a/b', '/studies', {}), '/a/b');
    assert.equal(resolveStudyPath(`${variable('D')}/b`, '/studies', { D: '/data' }), '/data/b');
    assert.equal(
      resolveStudyPath(`x-${variable('A')}-${variable('B')}`, '/studies', { A: '1', B: '2' }),
      '/studies/x-1-2',
    );
    assert.equal(resolveStudyPath('$D/a', '/s', {}), '/s/$D/a');
  });

  it('name the variable that is not set', () => {
    assert.throws(
      () => resolveStudyPath(`${variable('TIERBED_DATA')}/m`, '/', {}),
      is('missing', /TIERBED_DATA.*not set.*Set TIERBED_DATA/s),
    );
    assert.throws(
      () => resolveStudyPath(`${variable('TIERBED_DATA')}/m`, '/', { TIERBED_DATA: '' }),
      is('missing', /TIERBED_DATA/),
    );
  });
});

describe('the loader image-folder', () => {
  const spec = { loader: 'image-folder', path: 'pictures', labels: 'labels.csv' } as const;

  async function example(t: TestContext, csv: string): Promise<string> {
    const dir = await folder(t);
    await mkdir(join(dir, 'pictures', 'sub'), { recursive: true });
    await writeFile(join(dir, 'pictures', 'a.jpg'), 'A');
    await writeFile(join(dir, 'pictures', 'sub', 'b, b.jpg'), 'B');
    await writeFile(join(dir, 'labels.csv'), csv);
    return dir;
  }

  it('gives the files in the order of the labels, read when they are asked for', async (t) => {
    const dir = await example(t, '\ufefffile,label,name\r\na.jpg,3,"a ""name"""\r\n"sub/b, b.jpg",cat,\r\n');
    const items = await load({ ...spec, path: `${variable('DATA')}/pictures` }, dir);
    assert.deepEqual(
      items.map(({ id, label }) => [id, label]),
      [
        ['a.jpg', '3'],
        ['sub/b, b.jpg', 'cat'],
      ],
    );
    await writeFile(join(dir, 'pictures', 'a.jpg'), 'changed');
    assert.equal(Buffer.from((await items[0]?.read()) ?? []).toString(), 'changed');
    await rm(join(dir, 'pictures', 'a.jpg'));
    await assert.rejects(items[0]?.read() ?? Promise.resolve(), is('missing', /a\.jpg is not there/));
  });

  it('takes other columns by name', async (t) => {
    const dir = await example(t, 'id,class\na.jpg,x\n');
    const [item] = await load({ ...spec, fileColumn: 'id', labelColumn: 'class' }, dir);
    assert.deepEqual([item?.id, item?.label], ['a.jpg', 'x']);
    await assert.rejects(load(spec, dir), is('invalid', /no column 'file'.*id, class/s));
  });

  it('has files that are not there as items that cannot be read', async (t) => {
    const dir = await example(t, 'file,label\nnone.jpg,1\na.jpg,2\n');
    const [none, there] = await load(spec, dir);
    assert.equal(none?.id, 'none.jpg');
    await assert.rejects(none?.read() ?? Promise.resolve(), is('missing', /none\.jpg is not there/));
    assert.equal(Buffer.from((await there?.read()) ?? []).toString(), 'A');
  });

  it('says what is missing or wrong before anything runs', async (t) => {
    const dir = await example(t, 'file,label\na.jpg,1\nnone.jpg,2\n');
    await writeFile(join(dir, 'labels.csv'), 'file,label\nnone.jpg,1\nnor-this.jpg,2\n');
    await assert.rejects(load(spec, dir), is('missing', /none\.jpg does not exist, nor does any other/));
    await assert.rejects(load({ ...spec, path: 'elsewhere' }, dir), is('missing', /elsewhere does not exist/));
    await assert.rejects(load({ ...spec, labels: 'none.csv' }, dir), is('missing', /none\.csv does not exist/));
    const wrong: [string, RegExp][] = [
      ['file,label\na.jpg,1\na.jpg,1\n', /'a\.jpg' twice/],
      ['file,label\n../labels.csv,1\n', /not inside/],
      [`file,label\n${dir}/labels.csv,1\n`, /not inside/],
      ['file,label\n,1\n', /not inside/],
      ['file,label\na.jpg\n', /not a CSV/],
      ['file,label\n"a.jpg,1\n', /not a CSV/],
      ['file,label\n', /no rows/],
      ['', /no rows/],
    ];
    for (const [csv, text] of wrong) {
      await writeFile(join(dir, 'labels.csv'), csv);
      await assert.rejects(load(spec, dir), is('invalid', text), JSON.stringify(csv));
    }
  });
});

describe('the loader idx', () => {
  const spec = { loader: 'idx', images: 'images.gz', labels: 'labels', input: 'x', scale: 2 } as const;
  const images = Buffer.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const labels = Buffer.from([0, 0, 8, 1, 0, 0, 0, 2, 9, 4]);

  it('gives each picture as a tensor, packed or not', async (t) => {
    const dir = await folder(t);
    await writeFile(join(dir, 'images.gz'), gzipSync(images));
    await writeFile(join(dir, 'labels'), labels);
    const items = await load(spec, dir);
    assert.deepEqual(
      items.map(({ id, label }) => [id, label]),
      [
        ['0', '9'],
        ['1', '4'],
      ],
    );
    const [input] = decodeItemFile((await items[1]?.read()) ?? Buffer.alloc(0));
    assert.equal(input?.name, 'x');
    assert.deepEqual(input?.tensor.shape, [1, 1, 2, 3]);
    assert.deepEqual([...float32Values(input?.tensor as never)], [3.5, 4, 4.5, 5, 5.5, 6]);
  });

  it('refuses files that are not what they say', async (t) => {
    const dir = await folder(t);
    const attempts: [Buffer, Buffer, RegExp][] = [
      [images.subarray(0, 20), labels, /not a complete gzip|says \[2, 2, 3\]/],
      [labels, labels, /3 dimension/],
      [images, images, /1 dimension/],
      [images, Buffer.from([0, 0, 8, 1, 0, 0, 0, 1, 9]), /2 pictures.*1 labels/],
    ];
    for (const [i, l, text] of attempts) {
      await writeFile(join(dir, 'images.gz'), gzipSync(i));
      await writeFile(join(dir, 'labels'), l);
      await assert.rejects(load(spec, dir), is('invalid', text));
    }
    await writeFile(join(dir, 'images.gz'), gzipSync(images).subarray(0, 20));
    await assert.rejects(load(spec, dir), is('invalid', /not a complete gzip/));
  });
});

describe('the loader cifar', () => {
  it('gives each record as a picture without loss', async (t) => {
    const dir = await folder(t);
    const bytes = Buffer.alloc(2 * 3073);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 37) % 256;
    bytes[0] = 7;
    bytes[3073] = 2;
    await writeFile(join(dir, 'data.bin'), bytes);
    const items = await load({ loader: 'cifar', path: 'data.bin' }, dir);
    assert.deepEqual(
      items.map(({ id, label }) => [id, label]),
      [
        ['0', '7'],
        ['1', '2'],
      ],
    );
    const preprocess = createPreprocessor({
      kind: 'image',
      input: 'x',
      size: 32,
      resizeShorter: 32,
      scale: 1,
      mean: [0, 0, 0],
      std: [1, 1, 1],
    });
    const [input] = await preprocess((await items[1]?.read()) ?? Buffer.alloc(0));
    assert.deepEqual(Buffer.from(Uint8Array.from(float32Values(input?.tensor as never))), bytes.subarray(3074));
    await writeFile(join(dir, 'data.bin'), bytes.subarray(1));
    await assert.rejects(load({ loader: 'cifar', path: 'data.bin' }, dir), is('invalid', /3073/));
  });
});

describe('the loader tensor-file', () => {
  const spec = { loader: 'tensor-file', path: 'x.bin', stored: 'int16', input: 'x', shape: [1, 2] } as const;

  it('gives each record as the model takes it', async (t) => {
    const dir = await folder(t);
    await writeFile(join(dir, 'x.bin'), Buffer.from(Int16Array.of(-300, 5, 256, 0).buffer));
    await writeFile(join(dir, 'l.csv'), 'n,label\n0,yes\n1,no\n');
    const scaled = await load({ ...spec, offset: 5, scale: 0.5, labels: 'l.csv' }, dir);
    assert.deepEqual(
      scaled.map(({ label }) => label),
      ['yes', 'no'],
    );
    const [input] = decodeItemFile((await scaled[0]?.read()) ?? Buffer.alloc(0));
    assert.deepEqual([...float32Values(input?.tensor as never)], [-152.5, 0]);
    for (const [dtype, want] of [
      ['int32', [...Buffer.from(Int32Array.of(256, 0).buffer)]],
      ['int64', [...Buffer.from(BigInt64Array.of(256n, 0n).buffer)]],
    ] as const) {
      const items = await load({ ...spec, dtype }, dir);
      assert.equal(items[1]?.label, '');
      const [tokens] = decodeItemFile((await items[1]?.read()) ?? Buffer.alloc(0));
      assert.equal(tokens?.tensor.dtype, dtype);
      assert.deepEqual(Buffer.from(tokens?.tensor.data as Uint8Array), Buffer.from(want));
    }
  });

  it('refuses files that do not fit', async (t) => {
    const dir = await folder(t);
    await writeFile(join(dir, 'x.bin'), Buffer.alloc(6));
    await assert.rejects(load(spec, dir), is('invalid', /6 bytes, no multiple.*int16 \[1, 2\] of 4 bytes/));
    await writeFile(join(dir, 'x.bin'), Buffer.alloc(0));
    await assert.rejects(load(spec, dir), is('invalid', /0 bytes/));
    await writeFile(join(dir, 'x.bin'), Buffer.alloc(8));
    await writeFile(join(dir, 'l.csv'), 'label\nyes\n');
    await assert.rejects(load({ ...spec, labels: 'l.csv' }, dir), is('invalid', /1 labels for the 2 records/));
  });
});

describe('loaders', () => {
  it('are known by name', async (t) => {
    const dir = await folder(t);
    await assert.rejects(
      load({ loader: 'parquet' } as never, dir),
      is('invalid', /image-folder, cifar, idx, tensor-file, npy, npz, tsv/),
    );
  });
});
