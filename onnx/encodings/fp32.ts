import { denseTensor, ELEMENT_BYTES } from '../tensor.js';
import type { ElementEncoding } from './encoding.js';

const NOTHING = new Uint8Array();

/** Elements as they are, of whatever type: what tensors get that another encoding does not take. */
export const fp32: ElementEncoding = {
  kind: 'elements',
  name: 'fp32',
  code: 0,
  optionsSchema: { type: ['object', 'null'], properties: {}, additionalProperties: false },
  takes: () => true,
  encode: ({ data }) => ({ parameters: NOTHING, payload: data }),
  payloadBytes: (dtype, elements) => elements * ELEMENT_BYTES[dtype],
  decode: (dtype, shape, { payload }) => denseTensor(dtype, shape, payload),
};
