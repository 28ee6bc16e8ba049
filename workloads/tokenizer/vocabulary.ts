import { TierbedError } from '../../base/errors.js';

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];

/**
 * A `vocab.txt` of BERT's (Devlin et al., arXiv:1810.04805), one token a line, its line number from 0 its id, as the
 * tokenizer.json that says the same: WordPiece with `##`, `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`.
 *
 * @param path names the file in errors
 * @throws TierbedError `invalid` when a special token is not in it, or a token is twice
 */
export function vocabularyTokenizer(text: string, lowercase: boolean, path: string): object {
  const vocab = new Map<string, number>();
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  for (const [id, token] of lines.entries()) {
    if (vocab.has(token)) throw new TierbedError('invalid', `${path}:${id + 1}: '${token}' is there twice`);
    vocab.set(token, id);
  }
  for (const token of ['[UNK]', '[CLS]', '[SEP]']) {
    if (vocab.has(token)) continue;
    throw new TierbedError('invalid', `${path} is no vocabulary of BERT's: '${token}' is not in it`, {
      fix: 'Give a vocab.txt with one token a line, or a tokenizer.json.',
    });
  }
  const special = (token: string, type: number) => ({ SpecialToken: { id: token, type_id: type } });
  const sequence = (id: 'A' | 'B', type: number) => ({ Sequence: { id, type_id: type } });
  return {
    version: '1.0',
    added_tokens: SPECIAL.filter((token) => vocab.has(token)).map((content) => ({
      ...{ id: vocab.get(content), content, single_word: false, lstrip: false, rstrip: false },
      ...{ normalized: false, special: true },
    })),
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    model: {
      ...{ type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100 },
      vocab: Object.fromEntries(vocab),
    },
    post_processor: {
      type: 'TemplateProcessing',
      single: [special('[CLS]', 0), sequence('A', 0), special('[SEP]', 0)],
      pair: [special('[CLS]', 0), sequence('A', 0), special('[SEP]', 0), sequence('B', 1), special('[SEP]', 1)],
      special_tokens: Object.fromEntries(
        ['[CLS]', '[SEP]'].map((token) => [token, { id: token, ids: [vocab.get(token)], tokens: [token] }]),
      ),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  };
}
