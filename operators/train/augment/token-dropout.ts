import { TierbedError } from '../../../base/errors.js';
import type { Slot } from '../batch-inputs.js';
import type { AugmentSpec } from '../types.js';
import type { Augmentation } from './augmentation.js';
import { refused } from './planes.js';

type TokenDropout = Extract<AugmentSpec, { kind: 'token-dropout' }>;

/** Inputs that say where a text ends. */
const MASK = /mask/;

/**
 * Puts one token in the place of a share of the others (word dropout, Iyyer et al., ACL 2015), each by its own chance:
 * never of the first, which stands for the whole text, of those to be kept, or of padding, where the model takes a mask.
 */
export function tokenDropout(spec: TokenDropout, form: readonly Slot[]): Augmentation {
  const { share, token, keep = [], input } = spec;
  const at = tokensAt(form, input);
  const mask = form.findIndex(({ input: name, shape }, i) => i !== at && MASK.test(name) && shape.length === 1);
  const kept = new Set(keep);
  return (slots, random) => {
    const tokens = slots[at]?.values as BigInt64Array | Int32Array;
    const real = mask < 0 ? undefined : slots[mask]?.values;
    const put = (tokens instanceof BigInt64Array ? BigInt(token) : token) as never;
    for (let i = 1; i < tokens.length; i++) {
      if ((real && Number(real[i]) === 0) || kept.has(Number(tokens[i]))) continue;
      if (random.uniform() < share) tokens[i] = put;
    }
  };
}

function tokensAt(form: readonly Slot[], input: string | undefined): number {
  const whole = form.flatMap(({ values, input: name }, i) =>
    values instanceof BigInt64Array || values instanceof Int32Array ? [{ name, i }] : [],
  );
  const found =
    whole.find(({ name }) => name === (input ?? 'input_ids')) ?? (whole.length === 1 ? whole[0] : undefined);
  if (found && (input === undefined || found.name === input)) return found.i;
  if (whole.length === 0) throw refused(form, 'token-dropout', 'tokens, int64 or int32');
  throw new TierbedError('invalid', `augment: token-dropout does not know which input has the tokens`, {
    fix: `Give \`input\`: one of ${whole.map(({ name }) => name).join(', ')}.`,
  });
}
