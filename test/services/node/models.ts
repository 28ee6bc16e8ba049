// Small ONNX models, written field by field (onnx.proto), so that these tests rest on nothing but the runtime.

import { DATA_TYPE } from '../../../onnx/model.js';
import { type DenseTensor, type DType, float32Tensor, type NamedTensor } from '../../../onnx/tensor.js';

type Field = Uint8Array;

/** Layers of 64x64 `MatMul` and `Relu` over fixed weights: `x` [N, 64] in, `y` [N, 64] out. */
export function layers(from: number, to: number, input = 'x', output = 'y'): Uint8Array {
  const nodes: Field[] = [];
  const weights: Field[] = [];
  let last = input;
  for (let i = from; i < to; i++) {
    const result = i === to - 1 ? output : `h${i}`;
    weights.push(weight(`w${i}`, [64, 64], i + 1));
    nodes.push(node('MatMul', [last, `w${i}`], [`m${i}`]), node('Relu', [`m${i}`], [result]));
    last = result;
  }
  return model(nodes, weights, [valueInfo(input, 'float32', ['N', 64])], [valueInfo(output, 'float32', ['N', 64])]);
}

/** `y = x` of any dtype, shape [N, 2]. */
export function identity(dtype: DType): Uint8Array {
  return model(
    [node('Identity', ['x'], ['y'])],
    [],
    [valueInfo('x', dtype, ['N', 2])],
    [valueInfo('y', dtype, ['N', 2])],
  );
}

/** `y` [128] of `x` [N, 64]: runs for N = 2 alone, which its shapes do not say. */
export function reshape(): Uint8Array {
  const shape = join(
    varintField(1, 1),
    varintField(2, DATA_TYPE.int64),
    text(8, 's'),
    bytes(9, new Uint8Array(new BigInt64Array([128n]).buffer)),
  );
  return model(
    [node('Reshape', ['x', 's'], ['y'])],
    [shape],
    [valueInfo('x', 'float32', ['N', 64])],
    [valueInfo('y', 'float32', ['M'])],
  );
}

/** Multiplies a 256x256 matrix by itself `n` times, n an int64 input: runs for as long as a test wants it to. */
export function busy(): Uint8Array {
  const body = graph(
    [
      node('Identity', ['go'], ['go_on']),
      node('MatMul', ['s', 's'], ['product']),
      node('Tanh', ['product'], ['s_next']),
    ],
    [],
    [valueInfo('i', 'int64', []), valueInfo('go', 'bool', []), valueInfo('s', 'float32', [256, 256])],
    [valueInfo('go_on', 'bool', []), valueInfo('s_next', 'float32', [256, 256])],
  );
  const attribute = join(text(1, 'body'), bytes(6, body), varintField(20, 5));
  return model(
    [join(node('Loop', ['n', '', 'x'], ['y']), bytes(5, attribute))],
    [],
    [valueInfo('n', 'int64', []), valueInfo('x', 'float32', [256, 256])],
    [valueInfo('y', 'float32', [256, 256])],
  );
}

/** Inputs for `busy`; one round takes about a millisecond. */
export function busyInputs(rounds: number): NamedTensor[] {
  return [
    {
      name: 'n',
      tensor: { dtype: 'int64', shape: [], data: new Uint8Array(new BigInt64Array([BigInt(rounds)]).buffer) },
    },
    { name: 'x', tensor: float32Tensor([256, 256], new Float32Array(256 * 256).fill(0.001)) },
  ];
}

/** `y = x + w`, [2] each, whose weight lies at `location` beside the model. */
export function withExternalData(location: string): Uint8Array {
  const entry = (key: string, value: string): Field => join(text(1, key), text(2, value));
  const external = join(
    varintField(1, 2),
    varintField(2, DATA_TYPE.float32),
    text(8, 'w'),
    bytes(13, entry('location', location)),
    bytes(13, entry('length', '8')),
    varintField(14, 1),
  );
  return model(
    [node('Add', ['x', 'w'], ['y'])],
    [external],
    [valueInfo('x', 'float32', [2])],
    [valueInfo('y', 'float32', [2])],
  );
}

/** A [rows, 64] input of `layers` that differs by seed. */
export function rows(seed: number, count = 1, name = 'x'): { name: string; tensor: DenseTensor }[] {
  const values = Float32Array.from({ length: count * 64 }, (_, i) => Math.sin(seed + i));
  return [{ name, tensor: float32Tensor([count, 64], values) }];
}

function model(nodes: Field[], initializers: Field[], inputs: Field[], outputs: Field[]): Uint8Array {
  return join(varintField(1, 8), bytes(8, varintField(2, 17)), bytes(7, graph(nodes, initializers, inputs, outputs)));
}

function graph(nodes: Field[], initializers: Field[], inputs: Field[], outputs: Field[]): Field {
  return join(
    ...nodes.map((n) => bytes(1, n)),
    text(2, 'g'),
    ...initializers.map((t) => bytes(5, t)),
    ...inputs.map((v) => bytes(11, v)),
    ...outputs.map((v) => bytes(12, v)),
  );
}

function node(opType: string, inputs: string[], outputs: string[]): Field {
  return join(...inputs.map((name) => text(1, name)), ...outputs.map((name) => text(2, name)), text(4, opType));
}

function weight(name: string, dims: number[], seed: number): Field {
  const count = dims.reduce((product, dim) => product * dim, 1);
  const values = Float32Array.from({ length: count }, (_, i) => Math.sin(seed * 1000 + i) / 4);
  return join(
    ...dims.map((dim) => varintField(1, dim)),
    varintField(2, DATA_TYPE.float32),
    text(8, name),
    bytes(9, new Uint8Array(values.buffer)),
  );
}

function valueInfo(name: string, dtype: DType, dims: (number | string)[]): Field {
  const shape = join(...dims.map((dim) => bytes(1, typeof dim === 'number' ? varintField(1, dim) : text(2, dim))));
  return join(text(1, name), bytes(2, bytes(1, join(varintField(1, DATA_TYPE[dtype]), bytes(2, shape)))));
}

function text(field: number, value: string): Field {
  return bytes(field, new TextEncoder().encode(value));
}

function bytes(field: number, content: Uint8Array): Field {
  return join(varint(field * 8 + 2), varint(content.length), content);
}

function varintField(field: number, value: number): Field {
  return join(varint(field * 8), varint(value));
}

function varint(value: number): Field {
  const out: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  out.push(rest);
  return Uint8Array.from(out);
}

function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
