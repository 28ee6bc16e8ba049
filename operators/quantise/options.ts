import { TierbedError } from '../../base/errors.js';
import type { ActivationType } from './graph/activations.js';
import type { Choice } from './graph/choice.js';

const names = { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } };

/** JSON Schema of the options that choose nodes. */
export const choiceSchema = { nodeTypes: names, excludeTypes: names, nodes: names, excludeNodes: names };

/** JSON Schema of the options that say how weights are stored. */
export const weightSchema = { perChannel: { type: 'boolean' }, reduceRange: { type: 'boolean' } };

/** JSON Schema of the options of static quantisation, which `qat` begins with too. */
export const staticSchema = {
  method: { enum: ['minmax', 'percentile', 'entropy', 'mse'] },
  items: { type: 'integer', minimum: 1 },
  percentile: { type: 'number', exclusiveMinimum: 50, maximum: 100 },
  format: { enum: ['qdq', 'qoperator'] },
  activations: { enum: ['uint8', 'int8'] },
  maxDrop: { type: 'number', minimum: 0 },
  ...weightSchema,
  ...choiceSchema,
};

/** Options of `sptq` as they are given; each has a default. */
export interface SptqOptions extends Choice {
  readonly method?: string;
  readonly items?: number;
  readonly percentile?: number;
  readonly format?: 'qdq' | 'qoperator';
  readonly perChannel?: boolean;
  readonly activations?: ActivationType;
  readonly reduceRange?: boolean;
  /** In points of the workload's metric, measured on the tuning part. */
  readonly maxDrop?: number;
}

/** @throws TierbedError `invalid` for options of static quantisation that would have no effect beside the others */
export function checkStatic(operator: string, { method = 'minmax', percentile }: SptqOptions): void {
  if (percentile === undefined || method === 'percentile') return;
  throw new TierbedError('invalid', `${operator}.percentile is for \`method: percentile\`, and this is ${method}`, {
    fix: 'Leave `percentile` out, or set `method: percentile`.',
  });
}

/** Options of `dynamic` as they are given. */
export interface DynamicOptions extends Choice {
  readonly perChannel?: boolean;
  readonly reduceRange?: boolean;
}
