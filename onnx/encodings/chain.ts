import { TierbedError } from '../../base/errors.js';
import type { ByteEncoding, ElementEncoding, EncodingOptions } from './encoding.js';
import { fp32 } from './fp32.js';
import { ENCODINGS, encodingNamed } from './index.js';

/** One encoding as a study writes it: its name, or a map from its name to its options. */
export type EncodingStepChoice = string | Readonly<Record<string, EncodingOptions | null>>;

/** How tensors are encoded, as a study writes it: one encoding, or several that follow each other. */
export type EncodingChoice = EncodingStepChoice | readonly EncodingStepChoice[];

/** One encoding with its options. */
export interface EncodingStep {
  readonly name: string;
  readonly options: EncodingOptions;
}

/** Encodings that follow each other: at most one of elements, then at most one of bytes. Plain data. */
export type EncodingChain = readonly EncodingStep[];

/** A chain's encodings at hand. */
export interface OpenChain {
  readonly elements: { readonly encoding: ElementEncoding; readonly options: EncodingOptions };
  readonly bytes: { readonly encoding: ByteEncoding; readonly options: EncodingOptions } | undefined;
}

/** JSON Schema of one encoding. */
export const encodingStepSchema = {
  type: ['string', 'object'],
  properties: Object.fromEntries(ENCODINGS.map(({ name, optionsSchema }) => [name, optionsSchema])),
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  if: { type: 'string' },
  // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's word
  then: { enum: ENCODINGS.map(({ name }) => name) },
};

/** JSON Schema of an `EncodingChoice`. */
export const encodingSchema = {
  ...encodingStepSchema,
  type: ['string', 'object', 'array'],
  minItems: 1,
  items: encodingStepSchema,
};

/**
 * What a study wrote as a chain.
 *
 * @throws TierbedError `invalid` for an encoding that there is not, and for an order that makes no sense
 */
export function encodingChain(choice: EncodingChoice): EncodingChain {
  const steps: readonly EncodingStepChoice[] = isList(choice) ? choice : [choice];
  const chain = steps.map((step): EncodingStep => {
    if (typeof step === 'string') return { name: step, options: {} };
    const [name, options] = Object.entries(step)[0] ?? ['', null];
    return { name, options: options ?? {} };
  });
  openChain(chain);
  return chain;
}

/** @throws TierbedError as `encodingChain` */
export function openChain(chain: EncodingChain): OpenChain {
  let elements: OpenChain['elements'] | undefined;
  let bytes: OpenChain['bytes'];
  for (const { name, options } of chain) {
    const encoding = encodingNamed(name);
    if (!encoding) {
      const names = ENCODINGS.map((known) => known.name).join(', ');
      throw new TierbedError('invalid', `there is no encoding '${name}'`, { fix: `Use one of: ${names}.` });
    }
    if (encoding.kind === 'bytes') {
      if (bytes) throw orderError(`'${name}' follows '${bytes.encoding.name}', and one encoding of bytes is the most`);
      bytes = { encoding, options };
    } else {
      if (bytes) throw orderError(`'${name}' encodes elements, and '${bytes.encoding.name}' before it leaves bytes`);
      if (elements) {
        throw orderError(`'${name}' follows '${elements.encoding.name}', and elements are encoded once`);
      }
      elements = { encoding, options };
    }
  }
  return { elements: elements ?? { encoding: fp32, options: {} }, bytes };
}

/** Whether a chain leaves tensors as they are. */
export function isPlain(chain: EncodingChain): boolean {
  return chain.every(({ name }) => name === fp32.name);
}

/** Whether a chain wants ranges that were found beforehand. */
export function isCalibrated(chain: EncodingChain): boolean {
  return chain.some(({ options }) => options.range === 'calibrated');
}

/** `int8 axis 1 + deflate`: a chain for people. */
export function describeChain(chain: EncodingChain): string {
  return chain
    .map(({ name, options }) => [name, ...Object.entries(options).map(([key, value]) => `${key} ${value}`)].join(' '))
    .join(' + ');
}

function isList(choice: EncodingChoice): choice is readonly EncodingStepChoice[] {
  return Array.isArray(choice);
}

function orderError(what: string): TierbedError {
  return new TierbedError('invalid', `an encoding makes no sense: ${what}`, {
    fix: 'Write one of fp32, fp16 and int8, then deflate if it is wanted: e.g. [int8, deflate].',
  });
}
