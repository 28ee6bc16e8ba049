import { float16ToFloat32, float32ToFloat16 } from '../half.js';
import type { ElementEncoding } from './encoding.js';
import { aligned, fromSingles, singles } from './floats.js';

/**
 * Half precision (IEEE 754 binary16): half the bytes of float32, rounded to nearest, ties to even. Numbers from 65520 on
 * become infinity; infinities and NaN stay what they are.
 */
export const fp16: ElementEncoding = {
  kind: 'elements',
  name: 'fp16',
  code: 1,
  optionsSchema: { type: ['object', 'null'], properties: {}, additionalProperties: false },
  takes: (dtype) => dtype === 'float32' || dtype === 'float64',
  encode: (tensor) => ({
    parameters: new Uint8Array(),
    payload: new Uint8Array(float32ToFloat16(singles(tensor)).buffer),
  }),
  payloadBytes: (_, elements) => elements * 2,
  decode: (dtype, shape, { payload }) =>
    fromSingles(dtype, shape, float16ToFloat32(new Uint16Array(aligned(payload, 2)))),
};
