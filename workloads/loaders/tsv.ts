import { TierbedError } from '../../base/errors.js';
import { type DenseTensor, denseTensor } from '../../onnx/tensor.js';
import { encodeItemFile } from '../item-file.js';
import { type Encoding, openTokenizer } from '../tokenizer/index.js';
import type { LoadContext, Loader, ModelInput } from './loader.js';
import { readData } from './read.js';

/** A column by its name in the heading, or by its number from 0. */
type Column = string | number;

/** What a model of language can be given, by the name that tokenizers have for it. */
const ROLES = { ids: 'input_ids', mask: 'attention_mask', types: 'token_type_ids' } as const;

type Role = keyof typeof ROLES;

const INTEGERS = ['int64', 'int32'] as const;

type IntegerType = (typeof INTEGERS)[number];

export interface TsvSpec {
  readonly loader: 'tsv';
  /** UTF-8, one item a line, columns divided by tabs; quotes have no meaning. */
  readonly path: string;
  /** Whether the first line names the columns; true unless said otherwise. */
  readonly heading?: boolean;
  readonly textColumn: Column;
  /** The second of two texts that belong together. */
  readonly pairColumn?: Column;
  /** Without it the labels are empty. */
  readonly labelColumn?: Column;
  /** Hugging Face's tokenizer.json, or a vocab.txt of BERT's. */
  readonly tokenizer: string;
  /** Of a vocab.txt: an uncased model; true unless said otherwise. */
  readonly lowercase?: boolean;
  /** Tokens of an item: shorter ones are padded, longer ones truncated. */
  readonly length: number;
  /** What the model's inputs are called; `input_ids`, `attention_mask` and `token_type_ids` unless said otherwise. */
  readonly inputs?: Readonly<Partial<Record<Role, string>>>;
  /** The inputs' element type; that of the model's unless said otherwise. */
  readonly dtype?: IntegerType;
}

const column = { type: ['string', 'integer'], minLength: 1, minimum: 0 };
const name = { type: 'string', minLength: 1 };

/**
 * Texts, or pairs of texts, one a line, turned into tokens by the model's tokenizer. Items are tensors: of the three
 * inputs that such models have those that this one takes, [1, length].
 */
export const tsv: Loader<TsvSpec> = {
  name: 'tsv',
  schema: {
    properties: {
      path: name,
      heading: { type: 'boolean' },
      ...{ textColumn: column, pairColumn: column, labelColumn: column },
      tokenizer: name,
      lowercase: { type: 'boolean' },
      length: { type: 'integer', minimum: 1, maximum: 65_536 },
      inputs: { type: 'object', properties: { ids: name, mask: name, types: name }, additionalProperties: false },
      dtype: { enum: INTEGERS },
    },
    required: ['path', 'textColumn', 'tokenizer', 'length'],
  },
  paths: ['path', 'tokenizer'],
  async load(spec, context) {
    const rows = await readRows(spec, context);
    const { signal, resolvePath } = context;
    const tokenizer = await openTokenizer(resolvePath(spec.tokenizer), spec.lowercase ?? true, signal);
    const inputs = givenInputs(spec, await context.modelInputs?.());
    return rows.map(({ line, text, pair, label }) => ({
      id: String(line),
      label,
      read: async () => encodeItemFile(tensorsOf(tokenizer.encode(text, pair, spec.length), inputs)),
    }));
  },
};

interface Row {
  /** From 1, as an editor counts. */
  readonly line: number;
  readonly text: string;
  readonly pair: string | undefined;
  readonly label: string;
}

async function readRows(spec: TsvSpec, { resolvePath, signal }: LoadContext): Promise<Row[]> {
  const path = resolvePath(spec.path);
  const lines = decoded(await readData(path, signal), path).split(/\r?\n/);
  const { heading: hasHeading = true } = spec;
  const heading = hasHeading ? (lines[0] ?? '').split('\t') : undefined;
  const place = (wanted: Column): number => {
    const index = typeof wanted === 'number' ? wanted : (heading?.indexOf(wanted) ?? -1);
    if (index >= 0 && index < (heading?.length ?? Number.POSITIVE_INFINITY)) return index;
    throw new TierbedError('invalid', `${path} has no column '${wanted}'`, {
      fix: heading
        ? `Name one of its columns, or its number from 0: ${heading.join(', ')}.`
        : 'Without a heading columns have numbers, from 0.',
    });
  };
  const [text, pair, label] = [spec.textColumn, spec.pairColumn, spec.labelColumn].map((wanted) => {
    return wanted === undefined ? undefined : place(wanted);
  });
  const rows = lines.flatMap((line, i): Row[] => {
    if ((hasHeading && i === 0) || line.trim() === '') return [];
    const cells = line.split('\t');
    const cell = (index: number): string => {
      const value = cells[index];
      if (value !== undefined) return value.trim();
      throw new TierbedError('invalid', `${path}:${i + 1}: ${cells.length} columns, and column ${index} (from 0) is asked for`, {
        fix: 'Divide the columns with tabs.',
      });
    };
    return [
      {
        line: i + 1,
        text: cell(text as number),
        pair: pair === undefined ? undefined : cell(pair),
        label: label === undefined ? '' : cell(label),
      },
    ];
  });
  if (rows.length > 0) return rows;
  throw new TierbedError('invalid', `${path} has ${hasHeading ? 'no line behind its heading' : 'nothing in it'}`);
}

function decoded(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TierbedError('invalid', `${path} is not UTF-8`, { fix: 'Convert it, e.g. with iconv.', cause });
  }
}

interface GivenInput {
  readonly role: Role;
  readonly name: string;
  readonly dtype: IntegerType;
}

/** Those of the three inputs that the model takes, or all where it is not known. */
function givenInputs(spec: TsvSpec, model: readonly ModelInput[] | undefined): GivenInput[] {
  const all = (Object.keys(ROLES) as Role[]).map((role) => ({ role, name: spec.inputs?.[role] ?? ROLES[role] }));
  if (!model) return all.map((input) => ({ ...input, dtype: spec.dtype ?? 'int64' }));
  const given = all.flatMap(({ role, name }): GivenInput[] => {
    const input = model.find((candidate) => candidate.name === name);
    if (input) return [{ role, name, dtype: spec.dtype ?? integerType(input) }];
    if (spec.inputs?.[role] === undefined) return [];
    throw new TierbedError('invalid', `the model has no input '${name}' for the tokens' ${role}`, {
      fix: `Use one of: ${model.map((candidate) => candidate.name).join(', ')}.`,
    });
  });
  const missing = model.filter((input) => !given.some(({ name }) => name === input.name)).map((input) => input.name);
  if (missing.length === 0) return given;
  throw new TierbedError('invalid', `the model takes ${missing.join(', ')}, which are not among the inputs of the tokens`, {
    fix: 'Say with `inputs: { ids: NAME, mask: NAME, types: NAME }` what the model calls them.',
  });
}

function integerType({ name, dtype }: ModelInput): IntegerType {
  const found = INTEGERS.find((type) => type === dtype);
  if (found) return found;
  throw new TierbedError('invalid', `the model's input '${name}' is ${dtype}, and tokens are int64 or int32`);
}

function tensorsOf(encoding: Encoding, inputs: readonly GivenInput[]): { name: string; tensor: DenseTensor }[] {
  return inputs.map(({ role, name, dtype }) => {
    const values = encoding[role];
    const elements = dtype === 'int32' ? Int32Array.from(values) : BigInt64Array.from(values, BigInt);
    return { name, tensor: denseTensor(dtype, [1, values.length], new Uint8Array(elements.buffer)) };
  });
}
