import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { packageRoot } from '../../base/paths.js';
import { elementReader } from '../../workloads/elements.js';
import { decodeItemFile } from '../../workloads/item-file.js';
import { loadItems } from '../../workloads/loaders/index.js';
import type { ModelInput } from '../../workloads/loaders/loader.js';
import type { TsvSpec } from '../../workloads/loaders/tsv.js';
import { openTokenizer } from '../../workloads/tokenizer/index.js';
import { keptLengths } from '../../workloads/tokenizer/truncate.js';
import type { WorkloadItem } from '../../workloads/types.js';

interface Case {
  readonly text: string;
  readonly pair?: string;
  readonly length: number;
  readonly ids: readonly number[];
  readonly mask: readonly number[];
  readonly types: readonly number[];
}

/** Tokenizers made by Hugging Face's `tokenizers` for Python, and what it makes of some texts with them. */
const REFERENCE = JSON.parse(
  readFileSync(join(packageRoot, 'test', 'workloads', 'tokenizer-files.json'), 'utf8'),
) as {
  vocab: readonly string[];
  wordpieceJson: object;
  bpeJson: object;
  cases: Readonly<Record<'wordpiece' | 'cased' | 'bpe', readonly Case[]>>;
};

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tierbed-tsv-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  await writeFile(join(dir, 'vocab.txt'), `${REFERENCE.vocab.join('\n')}\n`);
  await writeFile(join(dir, 'wordpiece.json'), JSON.stringify(REFERENCE.wordpieceJson));
  await writeFile(join(dir, 'bpe.json'), JSON.stringify(REFERENCE.bpeJson));
  return dir;
}

function is(kind: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TierbedError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(`${error.message} ${error.fix}`, text);
    return true;
  };
}

describe('tokenizers', () => {
  for (const [name, file, lowercase] of [
    ['wordpiece', 'wordpiece.json', true],
    ['wordpiece', 'vocab.txt', true],
    ['cased', 'vocab.txt', false],
    ['bpe', 'bpe.json', true],
  ] as const) {
    it(`give the tokens of the reference: ${name} of ${file}`, async (t) => {
      const tokenizer = await openTokenizer(join(await folder(t), file), lowercase);
      for (const { text, pair, length, ...want } of REFERENCE.cases[name]) {
        assert.deepEqual(tokenizer.encode(text, pair, length), want, JSON.stringify([text, pair, length]));
      }
    });
  }

  it('leave room for a text', async (t) => {
    const tokenizer = await openTokenizer(join(await folder(t), 'vocab.txt'), true);
    assert.throws(() => tokenizer.encode('the cat', undefined, 2), is('invalid', /length of 2 leaves no room/));
    assert.throws(() => tokenizer.encode('the cat', 'a dog', 3), is('invalid', /beside 3 special tokens/));
  });

  it('are refused when they are none', async (t) => {
    const dir = await folder(t);
    const wrong: [string, string, RegExp][] = [
      ['a.json', '{"tokenizer_class": "BertTokenizer"}', /no 'model'.*tokenizer_config/],
      ['b.json', '{"model": ', /is not JSON/],
      ['c.json', '{"model": {"type": "Nothing", "vocab": {}}}', /cannot be used as a tokenizer/],
      ['d.txt', 'the\ncat\n', /'\[UNK\]' is not in it/],
      ['e.txt', '[UNK]\n[CLS]\n[SEP]\ncat\ncat\n', /e\.txt:5: 'cat' is there twice/],
    ];
    for (const [file, text, expected] of wrong) {
      await writeFile(join(dir, file), text);
      await assert.rejects(openTokenizer(join(dir, file), true), is('invalid', expected), file);
    }
    await assert.rejects(openTokenizer(join(dir, 'none.json'), true), is('missing', /none\.json does not exist/));
  });

  it('truncate the longer of two first, and both to about the same', () => {
    assert.deepEqual(keptLengths([9], 5), [5]);
    assert.deepEqual(keptLengths([3, 4], 7), [3, 4]);
    assert.deepEqual(keptLengths([9, 2], 7), [5, 2]);
    assert.deepEqual(keptLengths([2, 9], 7), [2, 5]);
    assert.deepEqual(keptLengths([9, 8], 7), [4, 3]);
    assert.deepEqual(keptLengths([8, 9], 7), [3, 4]);
    assert.deepEqual(keptLengths([0, 9], 7), [0, 7]);
  });
});

const SPEC = {
  ...{ loader: 'tsv', path: 'x.tsv', textColumn: 'text', labelColumn: 'label', tokenizer: 'vocab.txt', length: 8 },
} as const;

const load = (dir: string, over: Partial<TsvSpec> = {}, inputs?: readonly ModelInput[]) =>
  loadItems(
    { ...SPEC, ...over },
    { resolvePath: (path) => join(dir, path), ...(inputs && { modelInputs: async () => inputs }) },
  );

async function inputsOf(item: WorkloadItem | undefined): Promise<unknown[]> {
  return decodeItemFile((await item?.read()) ?? Buffer.alloc(0)).map(({ name, tensor }) => {
    assert.ok(tensor.dtype !== 'string');
    const { count, at } = elementReader(tensor);
    return [name, tensor.dtype, tensor.shape, Array.from({ length: count }, (_, i) => at(i)).join(' ')];
  });
}

describe('the loader tsv', () => {
  it('gives each line as the three inputs', async (t) => {
    const dir = await folder(t);
    await writeFile(join(dir, 'x.tsv'), '\ufefflabel\ttext\r\npos\tThe "cat sat\r\n\r\nneg\ta dog\r\n');
    const items = await load(dir);
    assert.deepEqual(
      items.map(({ id, label }) => [id, label]),
      [
        ['2', 'pos'],
        ['4', 'neg'],
      ],
    );
    assert.deepEqual(await inputsOf(items[1]), [
      ['input_ids', 'int64', [1, 8], '2 6 8 3 0 0 0 0'],
      ['attention_mask', 'int64', [1, 8], '1 1 1 1 0 0 0 0'],
      ['token_type_ids', 'int64', [1, 8], '0 0 0 0 0 0 0 0'],
    ]);
  });

  it('takes columns by number, pairs, and files without a heading', async (t) => {
    const dir = await folder(t);
    await writeFile(join(dir, 'x.tsv'), '0\tthe cat\ta dog\n1\ta\tthe\n');
    const columns = { heading: false, textColumn: 1, pairColumn: 2, labelColumn: 0 };
    const items = await load(dir, columns);
    assert.deepEqual(
      items.map(({ label }) => label),
      ['0', '1'],
    );
    const [ids, , types] = await inputsOf(items[0]);
    assert.deepEqual(ids, ['input_ids', 'int64', [1, 8], '2 5 7 3 6 8 3 0']);
    assert.deepEqual(types, ['token_type_ids', 'int64', [1, 8], '0 0 0 0 1 1 1 0']);
    const { labelColumn: _, ...unlabelled } = columns;
    const spec = { ...SPEC, ...unlabelled } as Partial<TsvSpec>;
    delete (spec as { labelColumn?: unknown }).labelColumn;
    const [bare] = await loadItems(spec as TsvSpec, { resolvePath: (path) => join(dir, path) });
    assert.equal(bare?.label, '');
  });

  it('gives the model what it takes, as it calls it', async (t) => {
    const dir = await folder(t);
    await writeFile(join(dir, 'x.tsv'), 'label\ttext\n1\ta cat\n');
    const ids = { name: 'input_ids', dtype: 'int32' };
    const [item] = await load(dir, {}, [ids]);
    assert.deepEqual(await inputsOf(item), [['input_ids', 'int32', [1, 8], '2 6 7 3 0 0 0 0']]);
    const named = { inputs: { ids: 'words', mask: 'real' } };
    const [other] = await load(dir, named, [{ name: 'real', dtype: 'int64' }, { name: 'words', dtype: 'int64' }]);
    assert.deepEqual(
      (await inputsOf(other)).map((input) => (input as string[])[0]),
      ['words', 'real'],
    );
    await assert.rejects(load(dir, named, [ids]), is('invalid', /no input 'words'.*input_ids/));
    await assert.rejects(load(dir, {}, [ids, { name: 'position_ids', dtype: 'int64' }]), is('invalid', /takes position_ids/));
    await assert.rejects(load(dir, {}, [{ name: 'input_ids', dtype: 'float32' }]), is('invalid', /is float32/));
  });

  it('says where a file is not what it should be', async (t) => {
    const dir = await folder(t);
    const wrong: [string | Buffer, Partial<TsvSpec>, RegExp][] = [
      ['label\ttext\n1\ta\n2\n', {}, /x\.tsv:3: 1 columns, and column 1/],
      ['label,text\n1,a\n', {}, /no column 'text'.*label,text/],
      ['label\ttext\n', {}, /no line behind its heading/],
      ['', { heading: false, textColumn: 0, labelColumn: 1 }, /nothing in it/],
      ['a\tb\n', { heading: false }, /no column 'text'.*numbers, from 0/],
      ['label\ttext\n1\ta\n', { textColumn: 2 }, /no column '2'/],
      [Buffer.from([0x6c, 0x09, 0xff, 0xfe, 0x0a]), { heading: false, textColumn: 0, labelColumn: 1 }, /not UTF-8/],
    ];
    for (const [text, over, expected] of wrong) {
      await writeFile(join(dir, 'x.tsv'), text);
      await assert.rejects(load(dir, over), is('invalid', expected), String(text));
    }
  });
});
