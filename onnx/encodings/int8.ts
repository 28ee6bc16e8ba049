import { TierbedError } from '../../base/errors.js';
import type { ElementEncoding, EncodedRange } from './encoding.js';
import { fromSingles, singles } from './floats.js';
import { type Blocks, blocksOf, RUN, rangeOf } from './range.js';

/** The parameters: the axis (int32, -1: none), how many channels, then their scales (float32), then their zero points. */
const HEAD_BYTES = 8;
const SCALE_BYTES = 4;

/** The smallest positive float32: a range so narrow that its 255th part would be 0 has steps of this. */
const SMALLEST_SCALE = 2 ** -149;
/** The largest float32. */
const LARGEST = 2 ** 128 - 2 ** 104;
/** Added to a number below 2^51 and taken off again it leaves the nearest whole number, ties to even. */
const ROUNDER = 1.5 * 2 ** 52;

interface Channel {
  readonly scale: number;
  readonly zeroPoint: number;
}

/**
 * Eight bits an element: q = round(x / scale) + zero point, -128 to 127, with one scale and zero point for the tensor, or
 * one for each index of `axis` (a tensor that has no such axis gets one for all). The range is widened to hold 0, which
 * is exact. Without a calibrated range it is that of the tensor's finite elements; what lies outside a range becomes its
 * end. So infinities become the ends of the range, and a NaN becomes 0.
 *
 * The scheme is ONNX's QuantizeLinear with a range of 255 steps.
 */
export const int8: ElementEncoding = {
  kind: 'elements',
  name: 'int8',
  code: 2,
  optionsSchema: {
    type: ['object', 'null'],
    properties: {
      axis: { type: 'integer', minimum: -32, maximum: 31 },
      range: { enum: ['runtime', 'calibrated'] },
    },
    additionalProperties: false,
  },
  takes: (dtype) => dtype === 'float32' || dtype === 'float64' || dtype === 'float16',

  encode(tensor, options, calibrated) {
    const values = singles(tensor);
    const blocks = blocksOf(tensor.shape, options.axis as number | undefined);
    const range = calibrated ?? rangeOf(values, blocks);
    if (range.min.length !== blocks.channels || range.max.length !== blocks.channels) {
      throw new TierbedError(
        'invalid',
        `a tensor of shape [${tensor.shape.join(', ')}] has ${blocks.channels} channels to encode, and ranges were calibrated for ${range.min.length}`,
        {
          fix: 'Calibrate on items of the shape that is sent, or leave the range to the run: {int8: {range: runtime}}.',
        },
      );
    }
    const channels = channelsOf(range);
    return { parameters: parametersOf(channels, blocks.axis), payload: quantised(values, channels, blocks) };
  },

  payloadBytes: (_, elements) => elements,

  decode(dtype, shape, { parameters, payload }) {
    const { channels, blocks } = parsed(parameters, shape);
    const values = new Float32Array(payload.length);
    // Each channel has 256 values.
    const table = new Float32Array(256);
    eachBlock(blocks, (channel, start, end) => {
      const of = channels[channel] as Channel;
      if (end - start < table.length) {
        for (let i = start; i < end; i++) values[i] = valueOfByte(payload[i] as number, of);
        return;
      }
      for (let byte = 0; byte < 256; byte++) table[byte] = valueOfByte(byte, of);
      for (let i = start; i < end; i++) values[i] = table[payload[i] as number] as number;
    });
    return fromSingles(dtype, shape, values);
  },
};

/** What a byte stands for. The end of a range may lie half a step beyond it: never beyond what float32 holds. */
function valueOfByte(byte: number, { scale, zeroPoint }: Channel): number {
  const value = (((byte << 24) >> 24) - zeroPoint) * scale;
  return Math.min(LARGEST, Math.max(-LARGEST, value));
}

function channelsOf({ min, max }: EncodedRange): Channel[] {
  return min.map((least, i) => {
    const low = Math.min(0, least);
    const high = Math.max(0, max[i] as number);
    if (low === high) return { scale: 1, zeroPoint: 0 };
    const scale = Math.max(Math.fround((high - low) / 255), SMALLEST_SCALE);
    return { scale, zeroPoint: Math.min(127, Math.max(-128, -128 - Math.round(low / scale))) };
  });
}

function quantised(values: Float32Array, channels: readonly Channel[], blocks: Blocks): Uint8Array {
  const result = new Int8Array(values.length);
  eachBlock(blocks, (channel, start, end) => {
    const of = channels[channel] as Channel;
    for (let at = start; at < end; at += RUN) quantiseRun(values, result, at, Math.min(end, at + RUN), of);
  });
  return new Uint8Array(result.buffer);
}

function quantiseRun(values: Float32Array, result: Int8Array, start: number, end: number, of: Channel): void {
  const { scale, zeroPoint } = of;
  for (let i = start; i < end; i++) {
    const q = (values[i] as number) / scale + zeroPoint + ROUNDER - ROUNDER;
    result[i] = q > 127 ? 127 : q < -128 ? -128 : Number.isNaN(q) ? zeroPoint : q;
  }
}

function eachBlock({ outer, channels, inner }: Blocks, visit: (channel: number, start: number, end: number) => void) {
  let start = 0;
  for (let i = 0; i < outer; i++) {
    for (let channel = 0; channel < channels; channel++) {
      visit(channel, start, start + inner);
      start += inner;
    }
  }
}

function parametersOf(channels: readonly Channel[], axis: number): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + channels.length * (SCALE_BYTES + 1));
  const view = new DataView(bytes.buffer);
  view.setInt32(0, axis, true);
  view.setUint32(4, channels.length, true);
  for (const [i, { scale, zeroPoint }] of channels.entries()) {
    view.setFloat32(HEAD_BYTES + i * SCALE_BYTES, scale, true);
    view.setInt8(HEAD_BYTES + channels.length * SCALE_BYTES + i, zeroPoint);
  }
  return bytes;
}

/** @throws TierbedError `invalid` when they are not what `parametersOf` writes for such a shape */
function parsed(bytes: Uint8Array, shape: readonly number[]): { channels: Channel[]; blocks: Blocks } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEAD_BYTES) throw wrong(`${bytes.length} bytes of parameters`);
  const axis = view.getInt32(0, true);
  const count = view.getUint32(4, true);
  if (axis < -1 || axis >= shape.length) throw wrong(`axis ${axis} of ${shape.length} dimensions`);
  const blocks = blocksOf(shape, axis < 0 ? undefined : axis);
  if (count !== blocks.channels || bytes.length !== HEAD_BYTES + count * (SCALE_BYTES + 1)) {
    throw wrong(`${count} channels in ${bytes.length} bytes of parameters where there are ${blocks.channels}`);
  }
  const channels = Array.from({ length: count }, (_, i): Channel => {
    const scale = view.getFloat32(HEAD_BYTES + i * SCALE_BYTES, true);
    if (!(scale > 0 && scale < Number.POSITIVE_INFINITY)) throw wrong(`a scale of ${scale}`);
    return { scale, zeroPoint: view.getInt8(HEAD_BYTES + count * SCALE_BYTES + i) };
  });
  return { channels, blocks };
}

function wrong(what: string): TierbedError {
  return new TierbedError('invalid', `its int8 encoding has ${what}`);
}
