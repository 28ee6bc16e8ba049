import { messageOf, TierbedError } from '../../base/errors.js';
import { type EncodingChain, openChain } from '../../onnx/encodings/chain.js';
import type { EncodedRange } from '../../onnx/encodings/encoding.js';
import type { LinkEncoding } from '../../onnx/encodings/link-encoding.js';

/**
 * How a stage's outputs are to be encoded, as a deployment says it.
 *
 * @returns undefined for '': as they are
 * @throws TierbedError `invalid` when it is no such thing
 */
export function encodingSpec(json: string): LinkEncoding | undefined {
  if (json === '') return undefined;
  let spec: unknown;
  try {
    spec = JSON.parse(json);
  } catch (error) {
    throw new TierbedError('invalid', `encode_json is not JSON: ${messageOf(error)}`);
  }
  if (!isMap(spec) || !isChain(spec.chain) || !(spec.ranges === undefined || isRanges(spec.ranges))) {
    throw new TierbedError('invalid', 'encode_json is not an object with a "chain" of encodings', {
      fix: 'Send e.g. {"chain": [{"name": "int8", "options": {}}]}.',
    });
  }
  openChain(spec.chain);
  return { chain: spec.chain, ...(spec.ranges && { ranges: spec.ranges }) };
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isChain(value: unknown): value is EncodingChain {
  return (
    Array.isArray(value) && value.every((step) => isMap(step) && typeof step.name === 'string' && isMap(step.options))
  );
}

function isRanges(value: unknown): value is Record<string, EncodedRange> {
  return (
    isMap(value) && Object.values(value).every((range) => isMap(range) && isNumbers(range.min) && isNumbers(range.max))
  );
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((number) => Number.isFinite(number));
}
