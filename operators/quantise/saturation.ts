import { GraphBuilder } from '../../onnx/build.js';
import { openModel } from '../../onnx/runtime/session.js';
import { denseTensor } from '../../onnx/tensor.js';

const ROWS = 16;
const DEPTH = 64;

let found: Promise<boolean> | undefined;

/**
 * Whether this processor's int8 products saturate: x86 without VNNI (or AMX) adds two products of uint8 and int8 in 16
 * bits (VPMADDUBSW), where 2 * 255 * 127 does not fit. Found out by multiplying the largest values there are.
 */
export function int8Saturates(): Promise<boolean> {
  found ??= measure();
  return found;
}

async function measure(): Promise<boolean> {
  const g = new GraphBuilder({ name: 'saturation' });
  const a = g.input('a', 'uint8', [ROWS, DEPTH]);
  const b = g.initializer('b', denseTensor('int8', [DEPTH, ROWS], new Uint8Array(DEPTH * ROWS).fill(127)));
  g.output(g.node('MatMulInteger', [a, b], {}, 'sums'), 'int32', [ROWS, ROWS]);
  const session = await openModel(g.build(), { threads: 1 });
  try {
    const largest = denseTensor('uint8', [ROWS, DEPTH], new Uint8Array(ROWS * DEPTH).fill(255));
    const [sums] = await session.run([{ name: 'a', tensor: largest }]);
    const bytes = new Uint8Array((sums?.tensor.data as Uint8Array) ?? []);
    return new Int32Array(bytes.buffer).some((sum) => sum !== 255 * 127 * DEPTH);
  } finally {
    await session.close();
  }
}
