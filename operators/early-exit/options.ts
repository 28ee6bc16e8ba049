import type { ConfidenceName } from '../../workloads/exit-rule.js';
import { CONFIDENCES } from '../../workloads/exit-rule.js';
import { trainSettingsSchema } from '../train/settings-schema.js';
import type { TrainSettings } from '../train/types.js';

/** One place: the tensors that cross there, the first of which the exit looks at; one alone needs no list. */
export type Place = string | readonly string[];

export interface EarlyExitOptions {
  /** `static`: the model ends there for all. `dynamic`, the default: for those requests of which the exit is sure. */
  readonly kind?: 'static' | 'dynamic';
  /** One place, or for `dynamic` several from the front to the end; or such for each workload. */
  readonly at: Place | readonly Place[] | Readonly<Record<string, Place | readonly Place[]>>;
  /** `fit`, the default: a linear head in closed form. `train`: trained. `reattach`, with `static`: the model's own head. */
  readonly head?: 'fit' | 'train' | 'reattach';
  /** With `head: train`: units of a layer before the head's last; without it the head is linear. */
  readonly hidden?: number;
  /** With `head: train`: the `heads` alone, or `all`: the model with them. `heads` unless said otherwise. */
  readonly trains?: 'heads' | 'all';
  /** With `head: train`. */
  readonly train?: TrainSettings;
  /** What the rule looks at; `max-probability` unless said otherwise. */
  readonly confidence?: ConfidenceName;
  /** Points of the share of right answers that the exits may cost on the tuning part; 1 unless said otherwise. */
  readonly maxDrop?: number;
  /** At most so many items of each part are used; 1000 unless said otherwise. */
  readonly items?: number;
}

const place = { type: ['string', 'array'], minLength: 1, minItems: 1, items: { type: 'string', minLength: 1 } };
const places = {
  type: ['string', 'array'],
  minLength: 1,
  minItems: 1,
  maxItems: 2,
  items: place,
};

export const earlyExitSchema = {
  type: 'object',
  properties: {
    kind: { enum: ['static', 'dynamic'] },
    at: { ...places, type: ['string', 'array', 'object'], minProperties: 1, additionalProperties: places },
    head: { enum: ['fit', 'train', 'reattach'] },
    hidden: { type: 'integer', minimum: 1, maximum: 4096 },
    trains: { enum: ['heads', 'all'] },
    train: trainSettingsSchema,
    confidence: { enum: Object.keys(CONFIDENCES) },
    maxDrop: { type: 'number', minimum: 0, maximum: 100 },
    items: { type: 'integer', minimum: 1 },
  },
  required: ['at'],
  additionalProperties: false,
};

/** The places for a workload; undefined where they are given for others alone. */
export function placesFor({ at }: EarlyExitOptions, workload: string): readonly (readonly string[])[] | undefined {
  const own = isByWorkload(at) ? at[workload] : at;
  if (own === undefined) return undefined;
  const list: readonly Place[] = typeof own === 'string' ? [own] : own;
  return list.map((one) => (typeof one === 'string' ? [one] : one));
}

export function isByWorkload(at: EarlyExitOptions['at']): at is Readonly<Record<string, Place | readonly Place[]>> {
  return typeof at === 'object' && !Array.isArray(at);
}
