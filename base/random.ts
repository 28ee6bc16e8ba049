const MASK_64 = (1n << 64n) - 1n;

/** SplitMix64 (Steele, Lea and Flood, OOPSLA 2014; Vigna's reference code): gives 64 bits a call. */
export function splitMix64(seed: bigint): () => bigint {
  let state = seed & MASK_64;
  return () => {
    state = (state + 0x9e3779b97f4a7c15n) & MASK_64;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK_64;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK_64;
    return z ^ (z >> 31n);
  };
}

/** FNV-1a of 64 bits over a text's UTF-8 bytes. */
function fnv1a64(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text, 'utf8')) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK_64;
  return hash;
}

/**
 * A seeded generator: xoshiro128** 1.1 (Blackman and Vigna, ACM TOMS 2021), its state filled by SplitMix64.
 * The same seed gives the same numbers on every machine. Not for secrets.
 */
export class Random {
  readonly #seed: bigint;
  #a: number;
  #b: number;
  #c: number;
  #d: number;
  #spareNormal: number | undefined;

  /** @param seed a safe integer or 64 bits */
  constructor(seed: number | bigint) {
    this.#seed = BigInt(seed) & MASK_64;
    const next = splitMix64(this.#seed);
    const [low, high] = [next(), next()];
    this.#a = Number(low & 0xffffffffn) | 0;
    this.#b = Number(low >> 32n) | 0;
    this.#c = Number(high & 0xffffffffn) | 0;
    this.#d = Number(high >> 32n) | 0;
  }

  /** A generator with exactly this state (four 32-bit words, not all zero), for comparing with reference code. */
  static fromState(state: readonly [number, number, number, number]): Random {
    const random = new Random(0);
    [random.#a, random.#b, random.#c, random.#d] = state.map((word) => word | 0) as [number, number, number, number];
    return random;
  }

  /**
   * An independent generator that depends on this one's seed and the label alone, not on what was drawn before:
   * tensors, strategies or rounds that each take their own may be made in any order.
   */
  fork(label: string): Random {
    return new Random(splitMix64(this.#seed ^ fnv1a64(label))());
  }

  /** A whole number in 0..2^32-1. */
  uint32(): number {
    const rolled = Math.imul(this.#b, 5);
    const result = Math.imul((rolled << 7) | (rolled >>> 25), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** A number in [low, high) with 53 random bits. */
  uniform(low = 0, high = 1): number {
    const unit = ((this.uint32() >>> 5) * 0x4000000 + (this.uint32() >>> 6)) / 0x20000000000000;
    return low + unit * (high - low);
  }

  /**
   * A whole number in 0..bound-1, each equally likely.
   *
   * @throws RangeError when bound is not a whole number in 1..2^32
   */
  integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 0x100000000) throw new RangeError(`no integer below ${bound}`);
    const limit = 0x100000000 - (0x100000000 % bound);
    for (;;) {
      const value = this.uint32();
      if (value < limit) return value % bound;
    }
  }

  /** A normally distributed number (Marsaglia's polar method). */
  normal(mean = 0, sd = 1): number {
    if (this.#spareNormal !== undefined) {
      const spare = this.#spareNormal;
      this.#spareNormal = undefined;
      return mean + sd * spare;
    }
    for (;;) {
      const u = this.uniform(-1, 1);
      const v = this.uniform(-1, 1);
      const s = u * u + v * v;
      if (s >= 1 || s === 0) continue;
      const scale = Math.sqrt((-2 * Math.log(s)) / s);
      this.#spareNormal = v * scale;
      return mean + sd * u * scale;
    }
  }

  /** An exponentially distributed number: the time between events of a Poisson process whose mean gap is `mean`. */
  exponential(mean: number): number {
    return -mean * Math.log1p(-this.uniform());
  }

  /** A shuffled copy (Fisher-Yates): every order is equally likely. */
  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T];
    }
    return shuffled;
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)] as T;
  }

  /** Fills an array with numbers of 32 random bits in [low, high), then rounded to float32: a hundred million in a second. */
  fillUniform(values: Float32Array, low = 0, high = 1): Float32Array {
    let [a, b, c, d] = [this.#a, this.#b, this.#c, this.#d];
    const scale = (high - low) / 0x100000000;
    for (let i = 0; i < values.length; i++) {
      const rolled = Math.imul(b, 5);
      const result = Math.imul((rolled << 7) | (rolled >>> 25), 9);
      const shifted = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= shifted;
      d = (d << 11) | (d >>> 21);
      values[i] = low + (result >>> 0) * scale;
    }
    [this.#a, this.#b, this.#c, this.#d] = [a, b, c, d];
    return values;
  }

  /** Fills an array with normally distributed numbers. */
  fillNormal(values: Float32Array, mean = 0, sd = 1): Float32Array {
    for (let i = 0; i < values.length; i++) values[i] = this.normal(mean, sd);
    return values;
  }
}
