import { denseTensor } from '../../../onnx/tensor.js';
import { declareContent } from '../../declared-content.js';
import { encodeItemFile } from '../../item-file.js';
import type { WorkloadItem, WorkloadPart } from '../../types.js';
import { TEXT_CLASSES, type Text, writeText } from './sentences.js';
import { ASKED, VOCABULARY } from './words.js';

/** Raised whenever the same seed gives other texts or other ids. */
export const GENERATOR_VERSION = 2;

/** Tokens of an item, padding included. */
export const TEXT_LENGTH = 26;

const IDS = new Map(VOCABULARY.map((word, id) => [word, id]));

/** The texts of a part as token ids: each is written when it is read. */
export function textItems(seed: number, part: WorkloadPart, count: number): readonly WorkloadItem[] {
  const items = Array.from({ length: count }, (_, index): WorkloadItem => {
    return {
      id: `${part}/${String(index).padStart(5, '0')}`,
      label: TEXT_CLASSES[index % TEXT_CLASSES.length] as string,
      read: async () => encodedText(writeText(seed, part, index)),
    };
  });
  return declareContent(items, JSON.stringify(['text', GENERATOR_VERSION, seed, part, count]));
}

/**
 * One segment as BERT has it, `[CLS] words [SEP]` with the thing that is asked for as `[IT]`, padded on the right: `input_ids`,
 * `attention_mask` and `token_type_ids`, each int64 [1, 26].
 */
export function encodedText({ thing, words }: Text): Uint8Array {
  const tokens = ['[CLS]', ...words.map((word) => (word === thing ? ASKED : word)), '[SEP]'];
  const at = (values: (i: number) => number) => {
    const numbers = Array.from({ length: TEXT_LENGTH }, (_, i) => (i < tokens.length ? values(i) : 0));
    return denseTensor('int64', [1, TEXT_LENGTH], new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer));
  };
  return encodeItemFile([
    { name: 'input_ids', tensor: at((i) => IDS.get(tokens[i] as string) as number) },
    { name: 'attention_mask', tensor: at(() => 1) },
    { name: 'token_type_ids', tensor: at(() => 0) },
  ]);
}
