import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { messageOf, TierbedError } from '../../base/errors.js';
import type { ByteEncoding } from './encoding.js';

/** Its time is a part of the latency: more effort takes several times as long for a few percent. */
const DEFAULT_LEVEL = 1;

/** DEFLATE (RFC 1951), without a wrapper. */
export const deflate: ByteEncoding = {
  kind: 'bytes',
  name: 'deflate',
  code: 1,
  optionsSchema: {
    type: ['object', 'null'],
    properties: { level: { type: 'integer', minimum: constants.Z_BEST_SPEED, maximum: constants.Z_BEST_COMPRESSION } },
    additionalProperties: false,
  },
  encode: (bytes, options) => deflateRawSync(bytes, { level: (options.level as number | undefined) ?? DEFAULT_LEVEL }),
  decode(bytes, length) {
    let inflated: Buffer;
    try {
      // zlib takes no bound of 0.
      inflated = inflateRawSync(bytes, { maxOutputLength: Math.max(1, length) });
    } catch (error) {
      const tooLong = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
      const why = tooLong ? `it inflates to more than the ${length} bytes that it should` : messageOf(error);
      throw new TierbedError('invalid', `its deflated bytes are damaged: ${why}`);
    }
    if (inflated.length === length) return new Uint8Array(inflated.buffer, inflated.byteOffset, length);
    throw new TierbedError('invalid', `its deflated bytes are damaged: ${inflated.length} came out, not ${length}`);
  },
};
