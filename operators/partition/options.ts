import { TierbedError } from '../../base/errors.js';
import {
  type EncodingChain,
  type EncodingChoice,
  encodingChain,
  encodingSchema,
  encodingStepSchema,
  isCalibrated,
} from '../../onnx/encodings/chain.js';

/** One cut: the tensors that cross it; one alone may be written without a list. */
export type CutChoice = string | readonly string[];

/** The cuts in the order in which a request passes them; or such a list for each workload that is to be cut. */
export type CutsChoice = readonly CutChoice[] | Readonly<Record<string, readonly CutChoice[]>>;

export type ModeName = 'narrowest' | 'balanced' | 'paper';

/** What is to be equal on all sides of the cuts. */
export type Measure = 'parameters' | 'macs' | 'time';

/** The options of `partition` as a recipe has them. */
export interface PartitionOptions {
  readonly at?: CutsChoice;
  readonly mode?: ModeName;
  readonly by?: Measure;
  readonly stages?: number;
  readonly minShare?: number;
  readonly int8Cuts?: boolean;
  readonly encoding?: EncodingChoice | readonly EncodingChoice[];
}

/** Of the multiply-accumulates: what `narrowest` leaves each stage at least. */
const DEFAULT_MIN_SHARE = 0.1;

const cutsSchema = {
  type: 'array',
  minItems: 1,
  items: { type: ['string', 'array'], minLength: 1, minItems: 1, items: { type: 'string', minLength: 1 } },
};

/** JSON Schema of the options; none at all is `narrowest`. */
export const partitionSchema = {
  type: ['object', 'null'],
  properties: {
    at: { ...cutsSchema, type: ['array', 'object'], minProperties: 1, additionalProperties: cutsSchema },
    mode: { enum: ['narrowest', 'balanced', 'paper'] satisfies ModeName[] },
    by: { enum: ['parameters', 'macs', 'time'] satisfies Measure[] },
    stages: { enum: [2, 3] },
    minShare: { type: 'number', minimum: 0, maximum: 0.5 },
    int8Cuts: { type: 'boolean' },
    encoding: { ...encodingStepSchema, type: ['string', 'object', 'array'], minItems: 1, items: encodingSchema },
  },
  additionalProperties: false,
};

/** What is to be done, with every default. */
export type CutPlan =
  | { readonly mode: 'at'; readonly cuts: CutsChoice }
  | { readonly mode: 'narrowest'; readonly stages: number; readonly minShare: number }
  | { readonly mode: 'balanced'; readonly by: Measure; readonly stages: number }
  | { readonly mode: 'paper' };

/** @throws TierbedError `invalid` for options that do not go together */
export function cutPlan(options: PartitionOptions): CutPlan {
  const { at, mode, by, stages, minShare } = options;
  if (at !== undefined) {
    refuse({ mode, by, stages, minShare }, 'at', 'the cuts are named');
    return { mode: 'at', cuts: at };
  }
  if (mode === 'paper') {
    refuse({ by, stages, minShare }, 'mode: paper', 'the published study cuts once, at one place');
    return { mode };
  }
  if (mode === 'balanced') {
    refuse({ minShare }, 'mode: balanced', 'the stages are made equal');
    return { mode, by: by ?? 'macs', stages: stages ?? 2 };
  }
  refuse({ by }, 'mode: narrowest', 'it goes by the bytes that cross');
  return { mode: 'narrowest', stages: stages ?? 2, minShare: minShare ?? DEFAULT_MIN_SHARE };
}

function refuse(others: Readonly<Record<string, unknown>>, besides: string, because: string): void {
  const [key] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
  if (key === undefined) return;
  throw new TierbedError('invalid', `partition has '${key}' beside '${besides}', where it means nothing: ${because}`, {
    fix: `Leave '${key}' out.`,
  });
}

/**
 * How the tensors of each cut are encoded, as the options say.
 *
 * @param cuts how many there are; undefined: as many as the options are for
 * @returns one chain a cut; undefined where the study's links decide
 * @throws TierbedError `invalid` for encodings that there are not, and when they are not as many as the cuts
 */
export function cutEncodings(
  encoding: PartitionOptions['encoding'],
  cuts: number | undefined,
): readonly (EncodingChain | undefined)[] {
  if (encoding === undefined) return Array.from({ length: cuts ?? 1 }, () => undefined);
  if (!isPerCut(encoding)) {
    const chain = encodingChain(encoding);
    return Array.from({ length: cuts ?? 1 }, () => chain);
  }
  if (cuts !== undefined && encoding.length !== cuts) {
    throw new TierbedError(
      'invalid',
      `partition.encoding is a list for ${encoding.length} cuts, and there are ${cuts}`,
      {
        fix: 'Give one for each cut, or one for all: a name, or a list of names that follow each other.',
      },
    );
  }
  return encoding.map(encodingChain);
}

/** Whether an encoding wants ranges from the calibration part. */
export function calibrates({ encoding }: PartitionOptions): boolean {
  return cutEncodings(encoding, undefined).some((chain) => chain !== undefined && isCalibrated(chain));
}

/** A list with a list in it is for one cut after the other; a list of names is one chain. */
function isPerCut(encoding: NonNullable<PartitionOptions['encoding']>): encoding is readonly EncodingChoice[] {
  return Array.isArray(encoding) && encoding.some((one) => Array.isArray(one));
}

export function isCutList(at: CutsChoice): at is readonly CutChoice[] {
  return Array.isArray(at);
}
