import { Random } from '../../../base/random.js';
import { GraphBuilder, type Value } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { denseTensor } from '../../../onnx/tensor.js';

const SIDE = 8;
const CHANNELS = 8;
export const INPUT_SHAPE: readonly number[] = [1, CHANNELS, SIDE, SIDE];

interface Quantised {
  readonly g: GraphBuilder;
  readonly scale: Value;
  readonly zero: Value;
  weights(name: string): Value;
}

function begun(name: string): Quantised {
  const g = new GraphBuilder({ name });
  const random = new Random(4);
  const scale = g.initializer('scale', denseTensor('float32', [], new Uint8Array(Float32Array.of(0.02).buffer)));
  const zero = g.initializer('zero', denseTensor('uint8', [], Uint8Array.of(100)));
  return {
    ...{ g, scale, zero },
    weights(weight) {
      const values = Int8Array.from({ length: CHANNELS * CHANNELS }, () => random.integer(255) - 127);
      return g.initializer(weight, denseTensor('int8', [CHANNELS, CHANNELS, 1, 1], new Uint8Array(values.buffer)));
    },
  };
}

/** Three 1x1 convolutions, each between a pair of QuantizeLinear and DequantizeLinear: `block0`, `block1`, `block2`. */
export function qdqModel(): Model {
  const { g, scale, zero, weights } = begun('qdq');
  const weightScale = g.initializer('ws', denseTensor('float32', [], new Uint8Array(Float32Array.of(0.004).buffer)));
  const weightZero = g.initializer('wz', denseTensor('int8', [], Uint8Array.of(0)));
  const pair = (x: Value, name: string): Value =>
    g.node(
      'DequantizeLinear',
      [g.node('QuantizeLinear', [x, scale, zero], {}, `${name}_quantized`), scale, zero],
      {},
      `${name}_dequantized`,
    );
  let last = pair(g.input('x', 'float32', INPUT_SHAPE), 'x');
  for (let i = 0; i < 3; i++) {
    const w = g.node('DequantizeLinear', [weights(`w${i}`), weightScale, weightZero], {}, `w${i}_dequantized`);
    last = pair(g.node('Conv', [last, w], { kernel_shape: [1, 1] }, `block${i}`), `block${i}`);
  }
  g.output(g.node('GlobalAveragePool', [last], {}, 'out'), 'float32', [1, CHANNELS, 1, 1]);
  return g.build();
}

/** A residual block: `x` quantised goes through a convolution, and past it into the sum. */
export function residualModel(): Model {
  const { g, scale, zero, weights } = begun('residual');
  const weightScale = g.initializer('ws', denseTensor('float32', [], new Uint8Array(Float32Array.of(0.004).buffer)));
  const weightZero = g.initializer('wz', denseTensor('int8', [], Uint8Array.of(0)));
  const pair = (x: Value, name: string): Value => {
    const quantised = g.node('QuantizeLinear', [x, scale, zero], {}, `${name}_quantized`);
    return g.node('DequantizeLinear', [quantised, scale, zero], {}, `${name}_dequantized`);
  };
  const conv = (from: Value, name: string): Value => {
    const w = g.node('DequantizeLinear', [weights(`${name}.w`), weightScale, weightZero], {}, `${name}.wd`);
    return pair(g.node('Conv', [from, w], { kernel_shape: [1, 1] }, name), name);
  };
  const skip = conv(pair(g.input('x', 'float32', INPUT_SHAPE), 'x'), 'stem');
  const sum = g.node('Add', [conv(conv(skip, 'first'), 'second'), skip], {}, 'sum');
  g.output(g.node('GlobalAveragePool', [pair(sum, 'sum')], {}, 'out'), 'float32', [1, CHANNELS, 1, 1]);
  return g.build();
}

/** `qdqModel` of quantised operators: floats are at its ends alone, and no `block0` is left. */
export function qoperatorModel(): Model {
  const { g, scale, zero, weights } = begun('qoperator');
  const weightScale = g.initializer('ws', denseTensor('float32', [], new Uint8Array(Float32Array.of(0.004).buffer)));
  const weightZero = g.initializer('wz', denseTensor('int8', [], Uint8Array.of(0)));
  let last = g.node('QuantizeLinear', [g.input('x', 'float32', INPUT_SHAPE), scale, zero], {}, 'x_quantized');
  for (let i = 0; i < 3; i++) {
    const inputs = [last, scale, zero, weights(`w${i}`), weightScale, weightZero, scale, zero];
    last = g.node('QLinearConv', inputs, { kernel_shape: [1, 1] }, `block${i}_quantized`);
  }
  const back = g.node('DequantizeLinear', [last, scale, zero], {}, 'block2');
  g.output(g.node('GlobalAveragePool', [back], {}, 'out'), 'float32', [1, CHANNELS, 1, 1]);
  return g.build();
}
