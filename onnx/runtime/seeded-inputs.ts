import { TierbedError } from '../../base/errors.js';
import { Random } from '../../base/random.js';
import { type DType, denseTensor, elementCount, type NamedTensor, type Tensor } from '../tensor.js';
import { TYPED_ARRAY } from '../typed-array.js';
import type { TensorInfo } from './tensors.js';

export interface SeededOptions {
  /** Sizes of free dimensions by their symbol; one without a symbol is called after its input and axis, `image.0`. The others are 1. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Every integer: 1 unless told, which is a token of most vocabularies and a mask that hides nothing. */
  readonly integer?: number;
  readonly seed?: number;
}

/**
 * Inputs made up for a model: reals are uniform in [-1, 1), integers are all the same.
 *
 * @throws TierbedError `usage` for a symbol that no input has; `invalid` for an input of a type that cannot be made up
 */
export function seededInputs(inputs: readonly TensorInfo[], options: SeededOptions = {}): readonly NamedTensor[] {
  const { dims = {}, integer = 1, seed = 1 } = options;
  const free = new Set<string>();
  const made = inputs.map(({ name, dtype, shape }) => {
    const sizes = shape.map((dim, axis) => {
      if (typeof dim === 'number') return dim;
      const symbol = dim === '?' ? `${name}.${axis}` : dim;
      free.add(symbol);
      return dims[symbol] ?? 1;
    });
    return { name, tensor: filled(name, dtype, sizes, integer, new Random(seed).fork(name)) };
  });
  for (const symbol of Object.keys(dims)) {
    if (free.has(symbol)) continue;
    throw new TierbedError('usage', `no input has a dimension ${symbol}`, {
      fix: `the free dimensions are: ${[...free].join(', ') || 'none'}`,
    });
  }
  return made;
}

function filled(name: string, dtype: string, shape: readonly number[], integer: number, random: Random): Tensor {
  const count = elementCount(shape);
  if (dtype === 'string') return { dtype, shape, data: new Array<Uint8Array>(count).fill(new Uint8Array()) };
  if (!Object.hasOwn(TYPED_ARRAY, dtype)) {
    throw new TierbedError('invalid', `input "${name}" is ${dtype}, for which no values can be made up`, {
      fix: 'Give items of your own with --workload.',
    });
  }
  const known = dtype as Exclude<DType, 'string' | 'bfloat16'>;
  const values = new TYPED_ARRAY[known](count);
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) values.fill(BigInt(integer));
  else if (values instanceof Float32Array) random.fillUniform(values, -1, 1);
  else if (values instanceof Float64Array) for (let i = 0; i < count; i++) values[i] = random.uniform(-1, 1);
  // Half-precision numbers by their bits: a sign, and 0.5 to 1.
  else if (known === 'float16') for (let i = 0; i < count; i++) values[i] = random.pick([0x3800, 0xb800]) | random.integer(0x400);
  else values.fill(integer);
  return denseTensor(known, shape, new Uint8Array(values.buffer));
}
