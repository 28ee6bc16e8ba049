import { Tensor as OrtTensor } from 'onnxruntime-common';
import { messageOf, TierbedError } from '../../base/errors.js';
import { type DType, denseTensor, ELEMENT_BYTES, type NamedTensor, type Tensor } from '../tensor.js';
import { TYPED_ARRAY } from '../typed-array.js';

/** A tensor's name, type and shape as the runtime sees it; symbolic dimensions are strings. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
}

/** What onnxruntime-common says of one input or output. */
export type OrtMetadata =
  | { readonly name: string; readonly isTensor: false }
  | {
      readonly name: string;
      readonly isTensor: true;
      readonly type: string;
      readonly shape: readonly (number | string)[];
    };

type Elements = Exclude<OrtTensor.DataType, readonly string[]>;
type ElementsConstructor = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => Elements;

// Float16Array came with Node 24, and onnxruntime-common then insists on it; before, it takes the bits as uint16.
const Float16 = (globalThis as { Float16Array?: ElementsConstructor }).Float16Array ?? Uint16Array;

/** The typed array that onnxruntime-common takes for each dtype; it has none for bfloat16. */
const ELEMENTS: Readonly<Partial<Record<DType, ElementsConstructor>>> = {
  ...TYPED_ARRAY,
  float16: Float16 as ElementsConstructor,
};

/**
 * The inputs or outputs of a session as Tierbed names them.
 *
 * @throws TierbedError `invalid` when one is a sequence or a map: only tensors can cross the wire
 */
export function tensorInfos(metadata: readonly OrtMetadata[]): readonly TensorInfo[] {
  return metadata.map((value) => {
    if (!value.isTensor) {
      throw new TierbedError('invalid', `the model's "${value.name}" is a sequence or a map, not a tensor`, {
        fix: 'Export the model with tensors as its inputs and outputs.',
      });
    }
    return {
      name: value.name,
      dtype: value.type,
      shape: value.shape.map((dim) => (dim === '' ? '?' : dim)),
    };
  });
}

/** How a tensor is named in an error: `float32 [N, 3, 224, 224]`. */
export function describe(info: { readonly dtype: string; readonly shape: readonly (number | string)[] }): string {
  return `${info.dtype} [${info.shape.join(', ')}]`;
}

/**
 * Checks tensors against a session's inputs and wraps them for the runtime, over the same memory where it is aligned.
 *
 * @throws TierbedError `invalid` naming the tensor, what came and what the model takes
 */
export function toOrt(inputs: readonly NamedTensor[], infos: readonly TensorInfo[]): Record<string, OrtTensor> {
  const feeds = ortTensors(inputs, infos);
  requireAll(feeds, infos);
  return feeds;
}

/** As `toOrt` for some of a session's inputs, or of its outputs, which the runtime then writes in place. */
export function ortTensors(
  tensors: readonly NamedTensor[],
  infos: readonly TensorInfo[],
  kind: 'input' | 'output' = 'input',
): Record<string, OrtTensor> {
  const wrapped: Record<string, OrtTensor> = Object.create(null);
  for (const { name, tensor } of tensors) {
    const info = infos.find((candidate) => candidate.name === name);
    if (!info) {
      throw new TierbedError(
        'invalid',
        `the model has no ${kind} "${name}"; it ${kind === 'input' ? 'takes' : 'gives'} ${listOf(infos)}`,
      );
    }
    if (name in wrapped) throw new TierbedError('invalid', `${kind} "${name}" is given twice`);
    // The runtime says of an output whose rank it does not know what it says of a number.
    const open = kind === 'output' && info.shape.length === 0;
    if (info.dtype !== tensor.dtype || !(open || fits(tensor.shape, info.shape))) {
      throw new TierbedError('invalid', `${kind} "${name}" must be ${describe(info)}, got ${describe(tensor)}`);
    }
    wrapped[name] = ortTensor(name, tensor);
  }
  return wrapped;
}

/** @throws TierbedError `invalid` naming the input that is missing */
export function requireAll(feeds: Readonly<Record<string, OrtTensor>>, infos: readonly TensorInfo[]): void {
  for (const info of infos) {
    if (!(info.name in feeds)) {
      throw new TierbedError('invalid', `input "${info.name}" (${describe(info)}) is missing`);
    }
  }
}

/** Tensors of the runtime as Tierbed's, over the same memory. */
export function fromOrt(name: string, value: OrtTensor): NamedTensor {
  const shape = value.dims;
  if (value.type === 'string') {
    const encoder = new TextEncoder();
    return {
      name,
      tensor: { dtype: 'string', shape, data: (value.data as readonly string[]).map((text) => encoder.encode(text)) },
    };
  }
  const dtype = value.type as Exclude<DType, 'string'>;
  if (!(dtype in ELEMENT_BYTES)) {
    throw new TierbedError('invalid', `output "${name}" is ${value.type}, which has no place on the wire`);
  }
  const data = value.data as Elements;
  return { name, tensor: denseTensor(dtype, shape, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) };
}

/** An error of the runtime's own, in Tierbed's terms. */
export function runtimeError(doing: string, error: unknown): TierbedError {
  if (error instanceof TierbedError) return error;
  return new TierbedError('invalid', `${doing}: ${messageOf(error).trim()}`, { cause: error });
}

function ortTensor(name: string, tensor: Tensor): OrtTensor {
  if (tensor.dtype === 'string') {
    return new OrtTensor(
      'string',
      tensor.data.map((bytes) => text(name, bytes)),
      tensor.shape,
    );
  }
  const Constructor = ELEMENTS[tensor.dtype];
  if (!Constructor) {
    throw new TierbedError('invalid', `input "${name}" is ${tensor.dtype}, which this engine cannot take`, {
      fix: 'Give the model float32 or float16 inputs.',
    });
  }
  const size = ELEMENT_BYTES[tensor.dtype];
  // The wire does not align tensors. A copy here is the only one they get, and only where it must be.
  const data = tensor.data.byteOffset % size === 0 ? tensor.data : new Uint8Array(tensor.data);
  const elements = new Constructor(data.buffer, data.byteOffset, data.byteLength / size);
  return new OrtTensor(tensor.dtype as 'float32', elements as Float32Array, tensor.shape);
}

function text(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new TierbedError('invalid', `input "${name}" has a string that is not UTF-8, and the engine takes no other`);
  }
}

function fits(shape: readonly number[], expected: readonly (number | string)[]): boolean {
  return shape.length === expected.length && expected.every((dim, i) => typeof dim === 'string' || dim === shape[i]);
}

function listOf(infos: readonly TensorInfo[]): string {
  return infos.length === 0 ? 'none' : infos.map((info) => `"${info.name}" (${describe(info)})`).join(', ');
}
