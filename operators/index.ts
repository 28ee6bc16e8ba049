import { suggest } from '../base/checked-yaml.js';
import { TierbedError } from '../base/errors.js';
import { distill } from './distill.js';
import { dynamic } from './dynamic.js';
import { earlyExit } from './early-exit.js';
import { fp16 } from './fp16.js';
import { identity } from './identity.js';
import type { Operator } from './operator.js';
import { partition } from './partition.js';
import { prune } from './prune.js';
import { qat } from './qat.js';
import { sptq } from './sptq.js';
import { train } from './train.js';

/** The operators there are: a new one is a file here and an entry below. */
export const OPERATORS: readonly Operator[] = [
  identity,
  partition,
  earlyExit,
  sptq,
  dynamic,
  fp16,
  train,
  prune,
  qat,
  distill,
];

/** @throws TierbedError `invalid` when there is no operator of this name */
export function operator(name: string): Operator {
  const found = OPERATORS.find((candidate) => candidate.name === name);
  if (found) return found;
  const names = OPERATORS.map((candidate) => candidate.name);
  const fix = suggest(name, names).fix ?? `Use one of: ${names.join(', ')}.`;
  throw new TierbedError('invalid', `there is no operator '${name}'; there are: ${names.join(', ')}`, { fix });
}
