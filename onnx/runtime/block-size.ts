import { GraphBuilder } from '../build.js';
import { type DenseTensor, float32Tensor, float32Values } from '../tensor.js';
import { openModel } from './session.js';

let found: Promise<number | undefined> | undefined;

/**
 * Channels in a block of ONNX Runtime's NCHWc kernels on this processor (16 with AVX-512, 8 with AVX2); undefined where
 * it has none.
 */
export function blockSize(): Promise<number | undefined> {
  found ??= probe().catch(() => undefined);
  return found;
}

/** Sees where the runtime puts the channels of two places. */
async function probe(): Promise<number | undefined> {
  const channels = 32;
  const g = new GraphBuilder({ name: 'block_size', opset: 18 });
  g.useDomain('com.microsoft.nchwc', 1);
  const x = g.input('x', 'float32', [1, channels, 1, 2]);
  const blocks = g.node('ReorderInput', [x], { channels_last: 0 }, { domain: 'com.microsoft.nchwc' });
  g.output(g.node('Reshape', [blocks, g.int64([-1])], {}, 'memory'), 'float32');
  const session = await openModel(g.build(), { threads: 1 });
  try {
    // The number of each channel, at both places.
    const values = Float32Array.from({ length: 2 * channels }, (_, i) => Math.floor(i / 2));
    const [memory] = await session.run([{ name: 'x', tensor: float32Tensor([1, channels, 1, 2], values) }]);
    const order = float32Values(memory?.tensor as DenseTensor);
    const block = order.indexOf(0, 1);
    return block > 1 && channels % block === 0 ? block : undefined;
  } finally {
    await session.close();
  }
}
