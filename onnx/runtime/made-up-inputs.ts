import { messageOf, TierbedError } from '../../base/errors.js';
import { Random } from '../../base/random.js';
import { type DType, denseTensor, elementCount, type NamedTensor, type Tensor } from '../tensor.js';
import { TYPED_ARRAY } from '../typed-array.js';
import { type ModelSession, openModel } from './session.js';
import type { TensorInfo } from './tensors.js';

export interface MadeUpOptions {
  /** Sizes of free dimensions by their symbol; one without a symbol is called after its input and axis, `image.0`. The others are 1. */
  readonly dims?: Readonly<Record<string, number>> | undefined;
  /** Every integer: a token of most vocabularies and a mask that hides nothing, 1, unless told. */
  readonly integer?: number;
  readonly seed?: number;
}

/**
 * Inputs made up for a model: reals are uniform in [-1, 1), integers are all the same.
 *
 * @throws TierbedError `usage` for a symbol that no input has; `invalid` for an input of a type that cannot be made up
 */
export function madeUpInputs(inputs: readonly TensorInfo[], options: MadeUpOptions = {}): readonly NamedTensor[] {
  const { dims = {}, integer = 1, seed = 1 } = options;
  const free = inputs.flatMap(freeDims);
  for (const symbol of Object.keys(dims)) {
    if (free.includes(symbol)) continue;
    throw new TierbedError('usage', `no input has a dimension ${symbol}`, {
      fix: `the free dimensions are: ${[...new Set(free)].join(', ') || 'none'}`,
    });
  }
  return inputs.map((info) => {
    const { name, dtype } = info;
    const shape = info.shape.map((dim, axis) =>
      typeof dim === 'number' ? dim : (dims[symbolOf(info, dim, axis)] ?? 1),
    );
    return { name, tensor: filled(name, dtype, shape, integer, new Random(seed).fork(name)) };
  });
}

/**
 * Made-up inputs with which an open model runs: some models take no integer but 0.
 *
 * @throws TierbedError `invalid` when it refuses all; as `madeUpInputs`
 */
export async function acceptedInputs(
  session: ModelSession,
  options: MadeUpOptions = {},
): Promise<readonly NamedTensor[]> {
  const integers = options.integer === undefined ? [1, 0] : [options.integer];
  let refusal: unknown;
  for (const integer of integers) {
    const inputs = madeUpInputs(session.inputs, { ...options, integer });
    try {
      await session.run(inputs);
      return inputs;
    } catch (error) {
      refusal ??= error;
    }
  }
  const free = [...new Set(session.inputs.flatMap(freeDims))];
  const items = 'items of its own with a workload';
  throw new TierbedError('invalid', `the model does not run on made-up inputs: ${messageOf(refusal)}`, {
    fix: free.length > 0 ? `Give sizes for its free dimensions (${free.join(', ')}), or ${items}.` : `Give ${items}.`,
    cause: refusal,
  });
}

/** The same for a model's file. */
export async function acceptedInputsOf(path: string, options: MadeUpOptions = {}): Promise<readonly NamedTensor[]> {
  const session = await openModel(path, { threads: 1 });
  try {
    return await acceptedInputs(session, options);
  } finally {
    await session.close();
  }
}

/** The symbol of a free dimension; one that has none is called after its input and axis. */
function symbolOf({ name }: TensorInfo, dim: string, axis: number): string {
  return dim === '?' ? `${name}.${axis}` : dim;
}

function freeDims(info: TensorInfo): readonly string[] {
  return info.shape.flatMap((dim, axis) => (typeof dim === 'string' ? [symbolOf(info, dim, axis)] : []));
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
  else if (known === 'float16')
    for (let i = 0; i < count; i++) values[i] = random.pick([0x3800, 0xb800]) | random.integer(0x400);
  else values.fill(integer);
  return denseTensor(known, shape, new Uint8Array(values.buffer));
}
