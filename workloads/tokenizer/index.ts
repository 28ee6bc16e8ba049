import { basename } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { messageOf, TierbedError } from '../../base/errors.js';
import { readData } from '../loaders/read.js';
import { keptLengths } from './truncate.js';
import { vocabularyTokenizer } from './vocabulary.js';

/** One text, or a pair, as a model of language takes it: each list has the length asked for. */
export interface Encoding {
  readonly ids: readonly number[];
  /** 1 for what was in the text and for special tokens, 0 for padding. */
  readonly mask: readonly number[];
  /** 0 for the first text, 1 for the second. */
  readonly types: readonly number[];
}

export interface TextTokenizer {
  /** @throws TierbedError `invalid` when the length leaves no room for a text */
  encode(text: string, pair: string | undefined, length: number): Encoding;
}

/** What of a tokenizer.json is looked at here; the library takes the rest. */
interface TokenizerFile {
  readonly model?: unknown;
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[];
  readonly padding?: { readonly pad_id?: number } | null;
}

const PADDING = ['[PAD]', '<pad>', '<|pad|>'];

/**
 * Opens a tokenizer: Hugging Face's `tokenizer.json`, or a `vocab.txt` of BERT's (any other name ending in `.txt`).
 *
 * @param lowercase of a vocab.txt: whether it is of an uncased model
 * @throws TierbedError `missing` when the file cannot be read, `invalid` when it is no tokenizer or of a kind not known
 */
export async function openTokenizer(path: string, lowercase: boolean, signal?: AbortSignal): Promise<TextTokenizer> {
  const text = (await readData(path, signal)).toString('utf8');
  const file = basename(path).endsWith('.txt') ? vocabularyTokenizer(text, lowercase, path) : parse(text, path);
  let tokenizer: Tokenizer;
  try {
    tokenizer = new Tokenizer(file, {});
  } catch (cause) {
    throw new TierbedError('invalid', `${path} cannot be used as a tokenizer: ${messageOf(cause)}`, { cause });
  }
  const padId = file.padding?.pad_id ?? PADDING.map((token) => tokenizer.token_to_id(token)).find((id) => id !== undefined) ?? 0;
  return { encode: (first, second, length) => encode(tokenizer, padId, first, second, length) };
}

function parse(text: string, path: string): TokenizerFile {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    throw new TierbedError('invalid', `${path} is not JSON: ${messageOf(cause)}`, {
      fix: "Give the model's tokenizer.json, or a vocab.txt with one token a line.",
      cause,
    });
  }
  if (typeof file === 'object' && file !== null && typeof (file as TokenizerFile).model === 'object') return file;
  throw new TierbedError('invalid', `${path} is not a tokenizer.json: it has no 'model'`, {
    fix: "Give the model's tokenizer.json, not its tokenizer_config.json.",
  });
}

function encode(tokenizer: Tokenizer, padId: number, text: string, pair: string | undefined, length: number): Encoding {
  const whole = tokenizer.encode(text, { ...(pair !== undefined && { text_pair: pair }), return_token_type_ids: true });
  const types = whole.token_type_ids ?? whole.ids.map(() => 0);
  const tokens = whole.ids.map((id, i) => ({ id, type: types[i] as number }));
  const kept = tokens.length <= length ? tokens : truncated(tokenizer, tokens, text, pair, length);
  const padding = length - kept.length;
  const filled = (values: readonly number[], filling: number): number[] => [
    ...values,
    ...Array.from({ length: padding }, () => filling),
  ];
  return {
    ids: filled(
      kept.map(({ id }) => id),
      padId,
    ),
    mask: filled(
      kept.map(() => 1),
      0,
    ),
    types: filled(
      kept.map(({ type }) => type),
      0,
    ),
  };
}

interface Token {
  readonly id: number;
  readonly type: number;
}

/** Takes tokens from the end of each text, so that the special tokens stay. */
function truncated(
  tokenizer: Tokenizer,
  tokens: readonly Token[],
  text: string,
  pair: string | undefined,
  length: number,
): readonly Token[] {
  const bare = [text, ...(pair === undefined ? [] : [pair])].map(
    (part) => tokenizer.encode(part, { add_special_tokens: false }).ids,
  );
  const special = tokens.length - bare.reduce((sum, ids) => sum + ids.length, 0);
  if (special < 0 || special >= length) {
    throw new TierbedError('invalid', `a length of ${length} leaves no room for a text beside ${special} special tokens`);
  }
  const keep = keptLengths(
    bare.map((ids) => ids.length),
    length - special,
  );
  const kept: Token[] = [];
  let at = 0;
  for (const [i, ids] of bare.entries()) {
    const start = placeOf(ids, tokens, at);
    kept.push(...tokens.slice(at, start + (keep[i] as number)));
    at = start + ids.length;
  }
  return [...kept, ...tokens.slice(at)];
}

/** Where a text's own tokens begin among all of them. */
function placeOf(ids: readonly number[], tokens: readonly Token[], from: number): number {
  for (let start = from; start + ids.length <= tokens.length; start++) {
    if (ids.every((id, i) => tokens[start + i]?.id === id)) return start;
  }
  throw new TierbedError('invalid', 'the tokenizer changes a text when it adds special tokens: it cannot be truncated', {
    fix: 'Choose a length that the longest text fits in.',
  });
}
