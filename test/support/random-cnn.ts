import { Random } from '../../base/random.js';
import { float, GraphBuilder, type Value } from '../../onnx/build.js';
import type { Graph, Model } from '../../onnx/model.js';
import { elementCount, float32Tensor } from '../../onnx/tensor.js';

/** A tensor of a random graph: [1, channels, size, size]. */
interface Place {
  readonly value: Value;
  readonly channels: number;
  readonly size: number;
}

/**
 * A small random graph of convolutions, normalisations, constants worked out of constants, nodes that do nothing, shared
 * weights, branches that meet again, If with a captured tensor, and one to three outputs. The same seed gives the same.
 */
export function randomCnn(seed: number): Model {
  return new RandomCnn(seed).build();
}

class RandomCnn {
  readonly #random: Random;
  readonly #g: GraphBuilder;
  readonly #places: Place[] = [];
  readonly #filters: { readonly name: Value; readonly inputs: number; readonly outputs: number }[] = [];
  #count = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#g = new GraphBuilder({ name: `random-${seed}` });
  }

  build(): Model {
    const channels = this.#random.pick([1, 2, 4]);
    const value = this.#g.input('x', 'float32', ['N', channels, 8, 8]);
    this.#places.push({ value, channels, size: 8 });
    const steps = 4 + this.#random.integer(14);
    for (let i = 0; i < steps; i++) this.#step();
    const outputs = new Set<Value>();
    for (let n = 1 + this.#random.integer(3); n > 0; n--) outputs.add(this.#recent().value);
    outputs.add(this.#head());
    outputs.delete('x');
    for (const output of outputs) this.#g.output(output, 'float32');
    return this.#g.build();
  }

  #step(): void {
    const at = this.#recent();
    const step = this.#random.pick([
      () => this.#conv(at),
      () => this.#conv(at),
      () => this.#convTranspose(at),
      () => this.#norm(at),
      () => this.#norm(at),
      () => this.#norm(at),
      () => this.#constant(at),
      () => this.#constant(at),
      () => this.#nothing(at),
      () => this.#push(this.#g.node('Relu', [at.value]), at),
      () => this.#meet(at),
      () => this.#choose(at),
    ]);
    step();
  }

  /** One of the last places, most often the last. */
  #recent(): Place {
    const back = this.#random.pick([1, 1, 1, 1, 2, 3]);
    return this.#places.at(-Math.min(back, this.#places.length)) as Place;
  }

  #push(value: Value, { channels, size }: Omit<Place, 'value'>): void {
    this.#places.push({ value, channels, size });
  }

  #weight(shape: readonly number[], low = -1, high = 1): Value {
    const values = this.#random.fillUniform(new Float32Array(elementCount(shape)), low, high);
    return this.#g.initializer(`w${this.#count++}`, float32Tensor(shape, values));
  }

  #conv(at: Place): void {
    const groups = at.channels % 2 === 0 ? this.#random.pick([1, 2, at.channels]) : 1;
    const outputs = groups * this.#random.pick([1, 2, 3]);
    const kernel = at.size >= 3 ? this.#random.pick([1, 3]) : 1;
    const pad = this.#random.pick([0, kernel >> 1]);
    const shared = this.#filters.find((f) => f.inputs === at.channels && this.#random.integer(3) === 0);
    if (shared) {
      const value = this.#g.node('Conv', [at.value, shared.name], { kernel_shape: [1, 1] });
      this.#push(value, { channels: shared.outputs, size: at.size });
      return;
    }
    const weight = this.#weight([outputs, at.channels / groups, kernel, kernel]);
    if (groups === 1 && kernel === 1) this.#filters.push({ name: weight, inputs: at.channels, outputs });
    const bias = this.#random.integer(2) ? this.#weight([outputs]) : undefined;
    const value = this.#g.node('Conv', [at.value, weight, bias], { group: groups, pads: [pad, pad, pad, pad] });
    this.#push(value, { channels: outputs, size: at.size - kernel + 1 + 2 * pad });
  }

  #convTranspose(at: Place): void {
    const groups = at.channels % 2 === 0 ? this.#random.pick([1, 2]) : 1;
    const perGroup = this.#random.pick([1, 2, 3]);
    const bias = this.#random.integer(2) ? this.#weight([perGroup * groups]) : undefined;
    const weight = this.#weight([at.channels, perGroup, 3, 3]);
    const value = this.#g.node('ConvTranspose', [at.value, weight, bias], { group: groups, pads: [1, 1, 1, 1] });
    this.#push(value, { channels: perGroup * groups, size: at.size });
  }

  #norm(at: Place): void {
    const stats = [
      [-1, 1],
      [-1, 1],
      [-1, 1],
      [0.5, 2],
    ].map(([low, high]) => this.#weight([at.channels], low, high));
    const outputs = at.channels;
    this.#push(this.#g.node('BatchNormalization', [at.value, ...stats], { epsilon: float(1e-3) }), {
      channels: outputs,
      size: at.size,
    });
  }

  /** Mul, Add, Sub or Div by a constant of one of many shapes, now and then worked out of others. */
  #constant(at: Place): void {
    const shape = this.#random.pick([
      [],
      [1],
      [at.channels, 1, 1],
      [1, at.channels, 1, 1],
      [at.size],
      [1, 1, at.size, at.size],
      [1, at.channels, 1, at.size],
    ]);
    let constant = this.#weight(shape, 0.5, 2);
    if (this.#random.integer(3) === 0) constant = this.#g.node('Sqrt', [constant]);
    if (this.#random.integer(3) === 0) {
      const values = this.#random.fillUniform(new Float32Array(elementCount(shape)), 0.5, 1);
      const other = this.#g.node('Constant', [], { value: float32Tensor(shape, values) });
      constant = this.#g.node('Mul', [constant, other]);
    }
    const op = this.#random.pick(['Mul', 'Add', 'Sub', 'Div']);
    const swapped = op !== 'Div' && this.#random.integer(2) === 1;
    this.#push(this.#g.node(op, swapped ? [constant, at.value] : [at.value, constant]), at);
  }

  #nothing(at: Place): void {
    this.#push(this.#g.node(this.#random.pick(['Identity', 'Dropout']), [at.value]), at);
  }

  #meet(at: Place): void {
    const others = this.#places.filter(({ channels, size }) => channels === at.channels && size === at.size);
    this.#push(this.#g.node('Add', [at.value, this.#random.pick(others).value]), at);
  }

  #choose(at: Place): void {
    const flag = this.#g.initializer(`flag${this.#count++}`, { dtype: 'bool', shape: [], data: Uint8Array.of(1) });
    const name = `if${this.#count++}`;
    const value = this.#g.node('If', [flag], {
      then_branch: branch(`${name}_then`, at.value, 'Neg'),
      else_branch: branch(`${name}_else`, at.value, 'Relu'),
    });
    this.#push(value, at);
  }

  #head(): Value {
    const at = this.#recent();
    const flat = this.#g.node('Flatten', [this.#g.node('GlobalAveragePool', [at.value])]);
    const normed = this.#random.integer(2) ? this.#norm2d(flat, at.channels) : flat;
    const transposed = this.#random.integer(2);
    const weight = this.#weight(transposed ? [5, at.channels] : [at.channels, 5]);
    const bias = this.#random.pick([undefined, this.#weight([5]), this.#weight([1]), this.#weight([1, 5])]);
    const attributes = { transB: transposed, alpha: float(0.5), beta: float(2) };
    const scores = this.#g.node('Gemm', [normed, weight, bias], attributes);
    return this.#random.integer(2) ? this.#norm2d(scores, 5) : scores;
  }

  #norm2d(value: Value, channels: number): Value {
    const stats = [
      [-1, 1],
      [-1, 1],
      [-1, 1],
      [0.5, 2],
    ].map(([low, high]) => this.#weight([channels], low, high));
    return this.#g.node('BatchNormalization', [value, ...stats]);
  }
}

/** A branch that works on a tensor of the graph around it, by way of an Identity and a Constant node. */
function branch(name: string, outer: Value, op: string): Graph {
  const g = new GraphBuilder({ name });
  const one = g.node('Constant', [], { value: float32Tensor([1], Float32Array.of(1)) }, `${name}_one`);
  const two = g.node('Add', [one, one], {}, `${name}_two`);
  const scaled = g.node('Mul', [two, two], {}, `${name}_scaled`);
  const same = g.node('Identity', [scaled], {}, `${name}_same`);
  g.output(g.node(op, [same], {}, `${name}_out`), 'float32');
  const graph = g.buildGraph();
  const nodes = graph.nodes.map((node) => (node.name === `${name}_scaled` ? { ...node, inputs: [two, outer] } : node));
  return { ...graph, nodes };
}
