import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { Random } from '../../base/random.js';
import { elementReader } from '../../workloads/elements.js';
import { decodeItemFile } from '../../workloads/item-file.js';
import { type DataSpec, loadItems } from '../../workloads/loaders/index.js';
import type { WorkloadItem } from '../../workloads/types.js';
import { NUMPY_FILES } from './numpy-files.js';

const fixture = (name: keyof typeof NUMPY_FILES): Buffer => Buffer.from(NUMPY_FILES[name], 'base64');

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tierbed-numpy-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const load = (spec: DataSpec, dir: string) => loadItems(spec, { resolvePath: (path) => join(dir, path) });

/** The inputs of an item: their names, types, shapes and numbers. */
async function inputsOf(item: WorkloadItem | undefined): Promise<unknown[]> {
  return decodeItemFile((await item?.read()) ?? Buffer.alloc(0)).map(({ name, tensor }) => {
    assert.ok(tensor.dtype !== 'string');
    const { count, at } = elementReader(tensor);
    return [name, tensor.dtype, tensor.shape, Array.from({ length: count }, (_, i) => at(i))];
  });
}

function is(kind: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TierbedError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(`${error.message} ${error.fix}`, text);
    return true;
  };
}

const NPY = { loader: 'npy', path: 'x.npy', input: 'x' } as const;

describe('the loader npy', () => {
  it('gives what NumPy wrote, in every version and type', async (t) => {
    const dir = await folder(t);
    const second = async (name: keyof typeof NUMPY_FILES, over = {}) => {
      await writeFile(join(dir, 'x.npy'), fixture(name));
      return inputsOf((await load({ ...NPY, ...over }, dir))[1]);
    };
    for (const name of ['float32', 'version2', 'version3'] as const) {
      assert.deepEqual(await second(name), [['x', 'float32', [1, 2], [0, 0.25]]], name);
    }
    assert.deepEqual(await second('float64'), [['x', 'float64', [1, 2], [0, 0.25]]]);
    assert.deepEqual(await second('float16'), [['x', 'float16', [1, 2], [0, 0.25]]]);
    assert.deepEqual(await second('int8'), [['x', 'int8', [1, 1], [0]]]);
    const planes = Array.from({ length: 12 }, (_, i) => 12 + i);
    assert.deepEqual(await second('uint8'), [['x', 'uint8', [1, 3, 2, 2], planes]]);
    assert.deepEqual(await second('int64'), [['x', 'int64', [1], [-1]]]);
    assert.deepEqual(await second('uint64'), [['x', 'uint64', [1], [2 ** 53]]]);
    assert.deepEqual(await second('bool'), [['x', 'bool', [1], [0]]]);
    // One column is in order either way.
    assert.deepEqual(await second('fortranVector'), [['x', 'float32', [1, 1], [0]]]);
  });

  it('gives another shape, type and scale where they are asked for', async (t) => {
    const dir = await folder(t);
    await writeFile(join(dir, 'x.npy'), fixture('uint8'));
    const [item] = await load({ ...NPY, shape: [3, 4], offset: 1, scale: 0.5 }, dir);
    assert.deepEqual(await inputsOf(item), [
      ['x', 'float32', [3, 4], Array.from({ length: 12 }, (_, i) => (i - 1) / 2)],
    ]);
    const [whole] = await load({ ...NPY, dtype: 'int64' }, dir);
    assert.deepEqual(await inputsOf(whole), [['x', 'int64', [1, 3, 2, 2], Array.from({ length: 12 }, (_, i) => i)]]);
    await assert.rejects(load({ ...NPY, shape: [5] }, dir), is('invalid', /items of \[3, 2, 2\], which cannot be \[5\]/));
  });

  it('takes labels from an array or from a CSV file', async (t) => {
    const dir = await folder(t);
    await writeFile(join(dir, 'x.npy'), fixture('float32'));
    await writeFile(join(dir, 'l.csv'), 'class\na\nb\nc\n');
    const labels = async (over: object) => (await load({ ...NPY, ...over }, dir)).map(({ label }) => label);
    assert.deepEqual(await labels({}), ['', '', '']);
    assert.deepEqual(await labels({ labels: 'l.csv', labelColumn: 'class' }), ['a', 'b', 'c']);
    const arrays: [keyof typeof NUMPY_FILES, string[]][] = [
      ['int64', ['7', '-1', '1099511627776']],
      ['bool', ['1', '0', '1']],
      ['unicode', ['cat', 'dög \u{1F600}', '']],
      ['bytes', ['cat', 'do', 'mouse']],
      ['pairs', ['1 2', '3 4', '5 6']],
    ];
    for (const [name, want] of arrays) {
      await writeFile(join(dir, 'l.npy'), fixture(name));
      assert.deepEqual(await labels({ labels: 'l.npy' }), want, name);
    }
    await writeFile(join(dir, 'l.npy'), fixture('uint64'));
    await assert.rejects(labels({ labels: 'l.npy' }), is('invalid', /l\.npy has 2 labels for the 3 items/));
  });

  it('reads items when they are asked for, and says when they have gone', async (t) => {
    const dir = await folder(t);
    const bytes = fixture('float32');
    await writeFile(join(dir, 'x.npy'), bytes);
    const [first, , third] = await load(NPY, dir);
    await writeFile(join(dir, 'x.npy'), bytes.subarray(0, bytes.length - 4));
    assert.deepEqual(await inputsOf(first), [['x', 'float32', [1, 2], [-0.5, -0.25]]]);
    await assert.rejects(third?.read() ?? Promise.resolve(), is('missing', /became shorter/));
    await rm(join(dir, 'x.npy'));
    await assert.rejects(first?.read() ?? Promise.resolve(), is('missing', /x\.npy can no longer be read/));
  });

  it('refuses what no model takes, and says what to do', async (t) => {
    const dir = await folder(t);
    const wrong: [keyof typeof NUMPY_FILES, RegExp][] = [
      ['fortran', /Fortran order.*ascontiguousarray/],
      ['objects', /Python objects/],
      ['bigEndian', /big-endian \('>f4'\).*astype\('<f4'\)/],
      ['scalar', /single number/],
      ['structured', /structures/],
      ['complex', /type '<c8'/],
      ['dates', /type '<M8\[D\]'/],
      ['empty', /\[0, 3\]: nothing is in it/],
      ['unicode', /holds text/],
      ['archive', /not a NumPy array file/],
    ];
    for (const [name, text] of wrong) {
      await writeFile(join(dir, 'x.npy'), fixture(name));
      await assert.rejects(load(NPY, dir), is('invalid', text), name);
    }
    await assert.rejects(load({ ...NPY, path: 'none.npy' }, dir), is('missing', /none\.npy does not exist/));
  });

  it('refuses every file that is cut short, longer, or whose header lies', async (t) => {
    const dir = await folder(t);
    const path = join(dir, 'x.npy');
    const bytes = fixture('float32');
    for (let length = 0; length < bytes.length; length++) {
      await writeFile(path, bytes.subarray(0, length));
      await assert.rejects(load(NPY, dir), is('invalid', /x\.npy/), `${length} bytes`);
    }
    const said = (header: string): Buffer => {
      const lied = Buffer.from(bytes);
      lied.write(header.padEnd(bytes.readUInt16LE(8) - 1), 10, 'latin1');
      return lied;
    };
    const wrong: [Buffer, RegExp][] = [
      [Buffer.concat([bytes, Buffer.from([0])]), /24 bytes, and has 25/],
      [said("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }"), /32 bytes, and has 24/],
      [said("{'descr': '<f4', 'fortran_order': False, 'shape': (9007199254740993, 9), }"), /which cannot be/],
      [said("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999, 99999999, 99999999), }"), /and has 24/],
      [said("{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 2), }"), /without a 'shape'/],
      [said("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (3, 2), }"), /without a 'fortran_order'/],
      [said("{'fortran_order': False, 'shape': (3, 2), }"), /without a 'descr'/],
      [said("{'descr': '<f4x', 'fortran_order': False, 'shape': (3, 2), }"), /type '<f4x'/],
      [said('nothing at all'), /without a 'shape'/],
    ];
    for (const [file, text] of wrong) {
      await writeFile(path, file);
      await assert.rejects(load(NPY, dir), is('invalid', text));
    }
    const huge = Buffer.from(fixture('version2'));
    huge.writeUInt32LE(0xfffffff0, 8);
    await writeFile(path, huge);
    await assert.rejects(load(NPY, dir), is('invalid', /header of 4294967280 bytes/));
    const strange = Buffer.from(bytes);
    strange[6] = 9;
    await writeFile(path, strange);
    await assert.rejects(load(NPY, dir), is('invalid', /version 9/));
  });
});

const NPZ = { loader: 'npz', path: 'x.npz', inputs: { image: 'x', mask: { array: 'mask', dtype: 'float32' } } } as const;

describe('the loader npz', () => {
  it('gives the arrays that are named, packed or not', async (t) => {
    const dir = await folder(t);
    for (const name of ['archive', 'compressed'] as const) {
      await writeFile(join(dir, 'x.npz'), fixture(name));
      const items = await load({ ...NPZ, labelArray: 'label' }, dir);
      assert.deepEqual(
        items.map(({ id, label }) => `${id} ${label}`),
        ['0 2', '1 0', '2 1'],
      );
      assert.deepEqual(await inputsOf(items[2]), [
        ['image', 'float32', [1, 2], [0.5, 0.75]],
        ['mask', 'float32', [1, 1], [1]],
      ]);
    }
    await writeFile(join(dir, 'x.npz'), fixture('archive'));
    await writeFile(join(dir, 'l.csv'), 'label\np\nq\nr\n');
    const labels = async (over: object) => (await load({ ...NPZ, ...over }, dir)).map(({ label }) => label).join('');
    assert.equal(await labels({ labelArray: 'names' }), 'abc');
    assert.equal(await labels({ labels: 'l.csv' }), 'pqr');
    assert.equal(await labels({}), '');
  });

  it('says what is not in it, or does not belong together', async (t) => {
    const dir = await folder(t);
    await writeFile(join(dir, 'x.npz'), fixture('archive'));
    const wrong: [object, RegExp][] = [
      [{ inputs: { x: 'y' } }, /no array 'y'.*x, mask, label, names, other/],
      [{ labelArray: 'y' }, /no array 'y'/],
      [{ inputs: { x: 'x', y: 'other' } }, /'other' of .* has 2 items, array 'x' of .* 3/],
      [{ labelArray: 'other' }, /'other' of .* has 2 labels for the 3 items/],
      [{ inputs: { x: 'names' } }, /'names' of .* holds text/],
    ];
    for (const [over, text] of wrong) await assert.rejects(load({ ...NPZ, ...over }, dir), is('invalid', text));
  });

  it('refuses every archive that is cut short, damaged or lies', async (t) => {
    const dir = await folder(t);
    const path = join(dir, 'x.npz');
    const random = new Random(3);
    for (const name of ['archive', 'compressed'] as const) {
      const bytes = fixture(name);
      for (let i = 0; i < 60; i++) {
        await writeFile(path, bytes.subarray(0, random.integer(bytes.length)));
        await assert.rejects(load(NPZ, dir), is('invalid', /x\.npz/), `${name} cut`);
      }
      // One wrong byte anywhere: refused, or where it means nothing read as before; never anything else.
      for (let i = 0; i < 300; i++) {
        const at = random.integer(bytes.length);
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] as number) ^ (1 << random.integer(8));
        await writeFile(path, damaged);
        try {
          const items = await load(NPZ, dir);
          assert.deepEqual(await inputsOf(items[2]), [
            ['image', 'float32', [1, 2], [0.5, 0.75]],
            ['mask', 'float32', [1, 1], [1]],
          ]);
        } catch (error) {
          assert.ok(error instanceof TierbedError, `${name}, byte ${at}: ${error}`);
        }
      }
    }
  });

  it('unpacks nothing that says it is larger than it can be, or than there is room for', async (t) => {
    const dir = await folder(t);
    const path = join(dir, 'x.npz');
    const zeros = { ...NPZ, inputs: { x: 'zeros' } };
    const bytes = fixture('compressed');
    const entry = bytes.indexOf('zeros.npy', bytes.indexOf('PK\x01\x02', 0, 'latin1')) - 46;
    assert.equal(bytes.readUInt32LE(entry), 0x02014b50);
    await writeFile(path, bytes);
    assert.equal((await load(zeros, dir)).length, 3);
    const lied = Buffer.from(bytes);
    lied.writeUInt32LE(0xfffffff0, entry + 24);
    await writeFile(path, lied);
    await assert.rejects(load(zeros, dir), is('invalid', /says that \d+ bytes unpack to 4294967280, which cannot be/));
    const short = Buffer.from(bytes);
    short.writeUInt32LE(1000, entry + 24);
    await writeFile(path, short);
    await assert.rejects(load(zeros, dir), is('invalid', /zeros\.npy in .* is damaged/));
  });
});
