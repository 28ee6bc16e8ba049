import { GraphBuilder, type Value } from '../onnx/build.js';
import { encodeModel } from '../onnx/write.js';

/** Side of the picture that the model takes. */
export const SIDE = 32;
export const CLASSES = 10;

/** A small residual network for 32x32 pictures, fixed weights: about a millisecond on one core of a server. */
export function overheadModel(): Uint8Array {
  const g = new GraphBuilder({ name: 'overhead' });
  const conv = (input: Value, name: string, from: number, to: number, kernel: number, stride: number): Value =>
    g.node(
      'Conv',
      [
        input,
        g.weight(`${name}.weight`, [to, from, kernel, kernel], () => waves(to * from * kernel ** 2)),
        g.weight(`${name}.bias`, [to], () => waves(to)),
      ],
      { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: Array(4).fill((kernel - 1) / 2) },
      name,
    );
  const block = (input: Value, name: string, from: number, to: number, stride: number): Value => {
    const inner = g.node('Relu', [conv(input, `${name}.conv1`, from, to, 3, stride)]);
    const outer = conv(inner, `${name}.conv2`, to, to, 3, 1);
    const shortcut = stride === 1 && from === to ? input : conv(input, `${name}.shortcut`, from, to, 1, stride);
    return g.node('Relu', [g.node('Add', [outer, shortcut])]);
  };
  let x: Value = g.input('input', 'float32', [1, 3, SIDE, SIDE]);
  x = g.node('Relu', [conv(x, 'stem', 3, 24, 3, 1)]);
  x = block(x, 'block1', 24, 24, 1);
  x = block(x, 'block2', 24, 48, 2);
  x = block(x, 'block3', 48, 96, 2);
  x = g.node('Flatten', [g.node('GlobalAveragePool', [x])]);
  const weight = g.weight('head.weight', [96, CLASSES], () => waves(96 * CLASSES));
  g.output(g.node('MatMul', [x, weight], {}, 'logits'), 'float32', [1, CLASSES]);
  return encodeModel(g.build());
}

/** Values that are neither equal nor denormal. */
function waves(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(i + 1) / 8);
}
