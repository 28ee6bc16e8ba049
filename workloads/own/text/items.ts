import { denseTensor } from '../../../onnx/tensor.js';
import { declareContent } from '../../declared-content.js';
import { encodeItemFile } from '../../item-file.js';
import type { WorkloadItem, WorkloadPart } from '../../types.js';
import { TEXT_CLASSES, type Text, writeText } from './sentences.js';
import { VOCABULARY } from './words.js';

/** Raised whenever the same seed gives other texts or other ids. */
export const GENERATOR_VERSION = 1;

/** Tokens of an item, padding included. */
export const TEXT_LENGTH = 28;

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
 * A pair of segments as BERT has them, `[CLS] thing [SEP] words [SEP]`, padded on the right: `input_ids`,
 * `attention_mask` and `token_type_ids`, each int64 [1, 28].
 */
export function encodedText({ thing, words }: Text): Uint8Array {
  const tokens = ['[CLS]', thing, '[SEP]', ...words, '[SEP]'];
  const at = (values: (i: number) => number) => {
    const numbers = Array.from({ length: TEXT_LENGTH }, (_, i) => (i < tokens.length ? values(i) : 0));
    return denseTensor('int64', [1, TEXT_LENGTH], new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer));
  };
  return encodeItemFile([
    { name: 'input_ids', tensor: at((i) => IDS.get(tokens[i] as string) as number) },
    { name: 'attention_mask', tensor: at(() => 1) },
    { name: 'token_type_ids', tensor: at((i) => (i < 3 ? 0 : 1)) },
  ]);
}
