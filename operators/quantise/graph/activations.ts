import { DATA_TYPE } from '../../../onnx/model.js';
import type { Range } from '../range.js';

/** How activations are stored: `uint8` over the range as it is, `int8` over a range that is symmetric around 0. */
export type ActivationType = 'uint8' | 'int8';

/** How a real number is stored: q = round(x / scale) + zeroPoint, saturated to the type. */
export interface ActivationParams {
  readonly type: ActivationType;
  readonly scale: number;
  readonly zeroPoint: number;
}

/** Below this a scale is no normal float32, and 1 / scale is not finite. */
const LEAST_SCALE = 2 ** -126;

/**
 * Scale and zero point for a range, which is made to include 0: zeros of padding and of Relu are then exact
 * (Jacob et al. 2018, section 2.1). A range of no width stands for zeros alone: any scale will do, and 1 is safe.
 */
export function activationParams({ min, max }: Range, type: ActivationType): ActivationParams {
  const low = Math.min(0, min);
  const high = Math.max(0, max);
  if (type === 'int8') {
    const scale = Math.fround(Math.max(-low, high) / 127);
    return { type, scale: scale < LEAST_SCALE ? 1 : scale, zeroPoint: 0 };
  }
  const scale = Math.fround((high - low) / 255);
  if (scale < LEAST_SCALE) return { type, scale: 1, zeroPoint: 0 };
  return { type, scale, zeroPoint: Math.min(255, Math.max(0, roundEven(-low / scale))) };
}

/** Numbers in a type's steps, one byte each. */
export function quantiseValues(values: Float32Array, { type, scale, zeroPoint }: ActivationParams): Uint8Array {
  const [least, most] = type === 'uint8' ? [0, 255] : [-128, 127];
  const result = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const q = roundEven((values[i] as number) / scale) + zeroPoint;
    result[i] = Math.min(most, Math.max(least, q));
  }
  return result;
}

/** TensorProto.DataType of an activation type. */
export function dataTypeOf(type: ActivationType): number {
  return DATA_TYPE[type];
}

/** The nearest whole number, halves to the even one, as QuantizeLinear rounds; exact below 2 ** 51. */
export function roundEven(x: number): number {
  return x + MAGIC - MAGIC;
}

/** From here on a double has no fractions: adding it rounds. */
const MAGIC = 1.5 * 2 ** 52;
