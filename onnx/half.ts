/**
 * IEEE 754 binary16 numbers as float32, exactly.
 *
 * @param bits the 16 bits of each number
 */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  const result = new Float32Array(bits.length);
  const table = float16Table();
  for (let i = 0; i < bits.length; i++) result[i] = table[bits[i] as number] as number;
  return result;
}

/** Exponent bits of an infinite float32. */
const INFINITE = 0x7f800000;
/** 65520: from here on the nearest binary16 number is infinity. */
const OVERFLOW = 0x477ff000;
/** 2^-14, the smallest normal binary16 number. */
const SMALLEST_NORMAL = 0x38800000;
/** What float32's exponent bias has over binary16's, where the exponent stands. */
const REBIAS = (127 - 15) << 23;
/** A number below 2^51 that is added to this, and of which it is taken off again, is a whole number, ties to even. */
const ROUNDER = 2 ** 52;

/**
 * Float32 numbers as IEEE 754 binary16, rounded to nearest, ties to even: what is too large becomes infinity, a NaN the
 * quiet NaN of its sign.
 *
 * @returns the 16 bits of each number
 */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const result = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    const sign = (word >>> 16) & 0x8000;
    const size = word & 0x7fffffff;
    if (size >= OVERFLOW) result[i] = sign | (size > INFINITE ? 0x7e00 : 0x7c00);
    else if (size >= SMALLEST_NORMAL) {
      // Half of the last place less one, and one more where the last place is odd; a carry is the next exponent.
      result[i] = sign | ((size - REBIAS + 0xfff + ((size >>> 13) & 1)) >>> 13);
    } else {
      const steps = Math.abs(values[i] as number) * 2 ** 24;
      result[i] = sign | (steps + ROUNDER - ROUNDER);
    }
  }
  return result;
}

/** bfloat16 numbers (the upper half of a float32) as float32, exactly. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = ((bits[i] as number) << 16) >>> 0;
  return new Float32Array(words.buffer);
}

let float16Values: Float32Array | undefined;

/** Every one of the 65536 binary16 numbers. */
function float16Table(): Float32Array {
  float16Values ??= Float32Array.from({ length: 0x10000 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
  return float16Values;
}
