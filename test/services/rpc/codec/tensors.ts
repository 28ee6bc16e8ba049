import { Random } from '../../../../base/random.js';
import { type DType, denseTensor, ELEMENT_BYTES, elementCount, type NamedTensor } from '../../../../onnx/tensor.js';
import type { InferRequest, Parameter } from '../../../../services/rpc/codec/messages.js';

export const DTYPES = [...Object.keys(ELEMENT_BYTES), 'string'] as DType[];

export function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.uint32() & 0xff);
}

export function randomTensor(random: Random, name: string, dtype: DType): NamedTensor {
  const shape = Array.from({ length: random.integer(4) }, () => random.integer(5));
  const count = elementCount(shape);
  if (dtype === 'string') {
    const data = Array.from({ length: count }, () =>
      randomBytes(random, random.pick([0, 1, 3, random.integer(200), 1500])),
    );
    return { name, tensor: { dtype, shape, data } };
  }
  const data = randomBytes(random, count * ELEMENT_BYTES[dtype]);
  if (dtype === 'bool') for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) & 1;
  return { name, tensor: denseTensor(dtype, shape, data) };
}

export function randomParameters(random: Random): Map<string, Parameter> {
  const parameters = new Map<string, Parameter>();
  for (let i = random.integer(5); i > 0; i--) {
    parameters.set(
      `p${i}é`,
      random.pick<() => Parameter>([
        () => random.integer(2) === 1,
        () => BigInt(random.uint32()) - 2n ** 31n,
        () => BigInt.asIntN(64, (BigInt(random.uint32()) << 32n) | BigInt(random.uint32())),
        () => 2n ** 63n + BigInt(random.uint32()),
        () => random.normal(),
        () => 'x'.repeat(random.integer(300)),
      ])(),
    );
  }
  return parameters;
}

export function randomRequest(seed: number): InferRequest {
  const random = new Random(seed);
  const inputs = Array.from({ length: random.integer(5) }, (_, i) =>
    randomTensor(random, `t${i}`, random.pick(DTYPES)),
  );
  return {
    modelName: random.pick(['', 'model', 'ein Modell mit ü', 'x'.repeat(random.integer(300))]),
    ...(random.integer(2) && { modelVersion: '3' }),
    ...(random.integer(2) && { id: `id-${seed}` }),
    parameters: randomParameters(random),
    inputs,
    ...(random.integer(2) && { requestedOutputs: ['a', 'b'] }),
  };
}

/** A message's bytes, as grpc-js puts them into its frame: five bytes in. */
export function framed(
  message: { readonly byteLength: number; copy(target: Uint8Array, at: number): number } | Buffer,
): Buffer {
  const frame = Buffer.alloc(message.byteLength + 5);
  message.copy(frame, 5);
  return frame.subarray(5);
}
