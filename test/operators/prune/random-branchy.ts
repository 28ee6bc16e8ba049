import { Random } from '../../../base/random.js';
import { float, GraphBuilder, type Value } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { elementCount, float32Tensor } from '../../../onnx/tensor.js';

interface Place {
  readonly value: Value;
  readonly channels: number;
  readonly size: number;
}

/**
 * A random convolutional network of what couples channels: residual additions, concatenations, splits, slices, depthwise
 * and grouped convolutions, transposed ones, gates, padded shortcuts, shuffles of channels, pools, normalisations, and a
 * head behind a Flatten of a whole map, or behind a mean. The same seed gives the same.
 */
export function randomBranchy(seed: number, opset = 18): Model {
  return new Branchy(seed, opset).build();
}

class Branchy {
  readonly #random: Random;
  readonly #g: GraphBuilder;
  readonly #places: Place[] = [];
  #count = 0;

  constructor(seed: number, opset: number) {
    this.#random = new Random(seed);
    this.#g = new GraphBuilder({ name: `branchy-${seed}`, opset });
  }

  build(): Model {
    const value = this.#g.input('x', 'float32', ['N', 3, 8, 8]);
    this.#conv({ value, channels: 3, size: 8 }, 8, 1);
    for (let steps = 4 + this.#random.integer(10); steps > 0; steps--) this.#step();
    this.#head();
    return this.#g.build();
  }

  #step(): void {
    const at = this.#recent();
    const { channels, size } = at;
    const step = this.#random.pick([
      () => this.#conv(at, this.#random.pick([4, 8, 12]), 1),
      () => this.#conv(at, channels, channels),
      () => this.#conv(at, 2 * channels, channels),
      () => this.#conv(at, this.#random.pick([4, 8]), 2),
      () => this.#conv(at, this.#random.pick([8, 16]), 4),
      () => this.#convTranspose(at, this.#random.pick([4, 8]), this.#random.pick([1, 2, 4])),
      () => this.#norm(at),
      () => this.#push(this.#g.node('Relu', [at.value]), channels, size),
      () => this.#residual(at),
      () => this.#concat(at),
      () => this.#split(at),
      () => this.#slice(at),
      () => this.#gate(at),
      () => this.#shuffle(at),
      () => this.#padded(at),
      () => this.#bias(at),
      () => this.#pool(at),
    ]);
    if (channels % 4 === 0) step();
    else this.#conv(at, 8, 1);
  }

  #recent(): Place {
    return this.#places.at(-this.#random.pick([1, 1, 1, 2])) ?? (this.#places[0] as Place);
  }

  #push(value: Value, channels: number, size: number): Place {
    const place = { value, channels, size };
    this.#places.push(place);
    return place;
  }

  #weight(shape: readonly number[], low = -1, high = 1): Value {
    const values = this.#random.fillUniform(new Float32Array(elementCount(shape)), low, high);
    return this.#g.initializer(`w${this.#count++}`, float32Tensor(shape, values));
  }

  #conv(at: Place, out: number, groups: number): Place {
    const kernel = this.#random.pick([1, 3]);
    const weight = this.#weight([out, at.channels / groups, kernel, kernel]);
    const bias = this.#random.integer(2) ? this.#weight([out]) : undefined;
    const pad = kernel >> 1;
    const attributes = { group: groups, pads: [pad, pad, pad, pad], kernel_shape: [kernel, kernel] };
    return this.#push(this.#g.node('Conv', [at.value, weight, bias], attributes), out, at.size);
  }

  #convTranspose(at: Place, out: number, groups: number): void {
    const weight = this.#weight([at.channels, out / groups, 3, 3]);
    const bias = this.#random.integer(2) ? this.#weight([out]) : undefined;
    const attributes = { group: groups, pads: [1, 1, 1, 1] };
    this.#push(this.#g.node('ConvTranspose', [at.value, weight, bias], attributes), out, at.size);
  }

  #norm(at: Place): void {
    const inputs = [
      [0.5, 1],
      [-1, 1],
      [-1, 1],
      [0.5, 2],
    ].map(([low, high]) => this.#weight([at.channels], low, high));
    this.#push(this.#g.node('BatchNormalization', [at.value, ...inputs]), at.channels, at.size);
  }

  #residual(at: Place): void {
    const inner = this.#conv(at, 8, 1);
    const back = this.#conv({ ...inner, value: this.#g.node('Relu', [inner.value]) }, at.channels, 1);
    this.#push(this.#g.node('Add', [at.value, back.value]), at.channels, at.size);
  }

  #concat(at: Place): void {
    const others = this.#places.filter(({ size, channels }) => size === at.size && channels + at.channels <= 24);
    if (others.length === 0) return;
    const other = this.#random.pick(others);
    this.#push(this.#g.node('Concat', [at.value, other.value], { axis: 1 }), at.channels + other.channels, at.size);
  }

  #split(at: Place): void {
    const first = at.channels / 4;
    const sizes = this.#g.int64([first, at.channels - first]);
    const [a, b] = this.#g.nodeWithOutputs('Split', [at.value, sizes], 2, { axis: 1 }) as [Value, Value];
    const one = this.#conv({ value: a, channels: first, size: at.size }, 4, 1);
    const two = this.#conv({ value: b, channels: at.channels - first, size: at.size }, 4, 1);
    this.#push(this.#g.node('Mul', [one.value, two.value]), 4, at.size);
  }

  #slice(at: Place): void {
    const g = this.#g;
    const value = g.node('Slice', [at.value, g.int64([1]), g.int64([at.channels - 1]), g.int64([1])]);
    this.#conv({ value, channels: at.channels - 2, size: at.size }, 4, 1);
  }

  /** Squeeze and excitation (Hu et al., CVPR 2018): channels are scaled by what they are on average. */
  #gate(at: Place): void {
    const mean = { value: this.#g.node('GlobalAveragePool', [at.value]), channels: at.channels, size: 1 };
    const inner = this.#g.node('Relu', [this.#g.node('Conv', [mean.value, this.#weight([4, at.channels, 1, 1])])]);
    const outer = this.#g.node('Conv', [inner, this.#weight([at.channels, 4, 1, 1]), this.#weight([at.channels])]);
    const gate = this.#g.node('Sigmoid', [outer]);
    this.#push(this.#g.node('Mul', [at.value, gate]), at.channels, at.size);
  }

  /** ShuffleNet's (Zhang et al., CVPR 2018). */
  #shuffle(at: Place): void {
    const g = this.#g;
    const { channels, size } = at;
    const apart = g.node('Reshape', [at.value, g.int64([0, 2, channels / 2, size, size])]);
    const turned = g.node('Transpose', [apart], { perm: [0, 2, 1, 3, 4] });
    this.#push(g.node('Reshape', [turned, g.int64([-1, channels, size, size])]), channels, size);
  }

  /** The shortcut without weights of He et al. (CVPR 2016): channels of zeros around those there are. */
  #padded(at: Place): void {
    const g = this.#g;
    const wide = g.node('Pad', [at.value, g.int64([0, 2, 0, 0, 0, 2, 0, 0])]);
    const other = this.#conv(at, at.channels + 4, 1);
    this.#push(g.node('Add', [other.value, wide]), at.channels + 4, at.size);
  }

  #bias(at: Place): void {
    const shape = this.#random.pick([[at.channels, 1, 1], [1, at.channels, 1, 1], [1], [at.size]]);
    this.#push(this.#g.node(this.#random.pick(['Add', 'Mul']), [at.value, this.#weight(shape)]), at.channels, at.size);
  }

  #pool(at: Place): void {
    const type = this.#random.pick(['MaxPool', 'AveragePool']);
    const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
    this.#push(this.#g.node(type, [at.value], attributes), at.channels, at.size);
  }

  #head(): void {
    const at = this.#places.at(-1) as Place;
    const g = this.#g;
    const mean = this.#random.integer(2) === 1;
    const flat = g.node('Flatten', [mean ? g.node('GlobalAveragePool', [at.value]) : at.value]);
    const features = mean ? at.channels : at.channels * at.size * at.size;
    const hidden = g.node('Gemm', [flat, this.#weight([6, features]), this.#weight([6])], { transB: 1 });
    const scores = g.node('MatMul', [g.node('Tanh', [hidden]), this.#weight([6, 5])]);
    g.output(g.node('Mul', [scores, g.float32(0.5)], {}, 'scores'), 'float32', ['N', 5]);
    void float;
  }
}
