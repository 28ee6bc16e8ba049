import { TierbedError } from '../../base/errors.js';
import { rawBytes } from '../../onnx/data-types.js';
import { initializerBytes } from '../../onnx/initializer.js';
import { DATA_TYPE, type Initializer, type Model, type Node } from '../../onnx/model.js';
import { deadCode } from '../../onnx/passes/dead-code.js';
import { FreshNames } from '../../onnx/passes/names.js';
import { onnxVersion } from '../../onnx/passes/walk.js';
import type { Grouping } from './groups.js';
import { pruneRule } from './ops/index.js';
import type { ShrinkNode } from './rule.js';
import { integersOf } from './trace.js';

/**
 * A model without some of its units: weights are cut, and nodes that say sizes (groups of convolutions, targets of
 * Reshape, sizes of Split and the like) say the new ones. Inputs and outputs stay as they are.
 *
 * @param chosen ids of units of the grouping's groups
 * @throws TierbedError `internal` when an axis would be left without an index
 */
export async function removeUnits(grouping: Grouping, chosen: ReadonlySet<number>): Promise<Model> {
  if (chosen.size === 0) return grouping.model;
  const shrinker = new Shrinker(grouping, chosen);
  const made = shrinker.model();
  return deadCode.run(made);
}

class Shrinker {
  readonly #grouping: Grouping;
  readonly #kept = new Map<string, readonly (readonly number[] | undefined)[]>();
  readonly #names: FreshNames;
  readonly #constants: Initializer[] = [];
  readonly #initializers: ReadonlyMap<string, Initializer>;

  constructor(grouping: Grouping, chosen: ReadonlySet<number>) {
    this.#grouping = grouping;
    this.#names = new FreshNames(grouping.model);
    this.#initializers = new Map(grouping.model.graph.initializers.map((each) => [each.name, each]));
    for (const [tensor, axes] of grouping.units) {
      const kept = axes.map((units) => units && keptOf(units, chosen));
      const empty = kept.findIndex((indices) => indices?.length === 0);
      if (empty >= 0) {
        throw new TierbedError('internal', `nothing would be left of axis ${empty} of ${tensor}`);
      }
      if (kept.some((indices) => indices)) this.#kept.set(tensor, kept);
    }
  }

  model(): Model {
    const { model } = this.#grouping;
    const { graph } = model;
    const nodes = graph.nodes.map((node) => pruneRule(node)?.shrink?.(this.#nodeView(node)) ?? node);
    const initializers = graph.initializers.map((each) => {
      const kept = this.#kept.get(each.name);
      return kept ? cutInitializer(each, kept) : each;
    });
    // What the file says of tensors that have lost indices is wrong now.
    const valueInfo = graph.valueInfo.filter(({ name }) => !this.#kept.has(name));
    return { ...model, graph: { ...graph, nodes, initializers: [...initializers, ...this.#constants], valueInfo } };
  }

  #nodeView(node: Node): ShrinkNode {
    const { model, shapes, symbolic } = this.#grouping;
    const initializers = this.#initializers;
    return {
      node,
      opset: onnxVersion(model),
      kept: (tensor, axis) => this.#kept.get(tensor)?.[axis],
      before: (tensor) =>
        initializers.get(tensor)?.dims ?? (shapes.get(tensor)?.shape as readonly number[] | undefined),
      symbolic: (tensor) => symbolic.get(tensor)?.shape,
      integers: (tensor) => integersOf(initializers.get(tensor ?? '')),
      constant: (values, like) => this.#constant(node, values, initializers.get(like ?? '')),
    };
  }

  #constant(node: Node, values: readonly number[], like: Initializer | undefined): string {
    const name = this.#names.free(`${node.name || node.outputs[0]}.pruned`);
    const narrow = like?.dataType === DATA_TYPE.int32;
    const data = narrow ? Int32Array.from(values) : BigInt64Array.from(values, BigInt);
    this.#constants.push({
      name,
      dims: like ? like.dims.map(() => values.length) : [values.length],
      dataType: narrow ? DATA_TYPE.int32 : DATA_TYPE.int64,
      data: { kind: 'raw', bytes: new Uint8Array(data.buffer) },
      docString: '',
      metadataProps: [],
    });
    return name;
  }
}

/** The indices that stay; undefined when all do. */
function keptOf(units: Int32Array, chosen: ReadonlySet<number>): readonly number[] | undefined {
  const kept: number[] = [];
  units.forEach((unit, i) => {
    if (!chosen.has(unit)) kept.push(i);
  });
  return kept.length === units.length ? undefined : kept;
}

/** An initializer with some indices of its axes alone. */
function cutInitializer(initializer: Initializer, kept: readonly (readonly number[] | undefined)[]): Initializer {
  const width = rawBytes(initializer.dataType, 1) as number;
  let bytes = initializerBytes(initializer);
  let dims = initializer.dims;
  kept.forEach((indices, axis) => {
    if (!indices) return;
    bytes = cutAxis(bytes, dims, axis, indices, width);
    dims = dims.map((size, i) => (i === axis ? indices.length : size));
  });
  return { ...initializer, dims, data: { kind: 'raw', bytes } };
}

function cutAxis(
  bytes: Uint8Array,
  dims: readonly number[],
  axis: number,
  indices: readonly number[],
  width: number,
): Uint8Array {
  const rows = dims.slice(0, axis).reduce((product, size) => product * size, 1);
  const run = dims.slice(axis + 1).reduce((product, size) => product * size, width);
  const size = dims[axis] as number;
  const made = new Uint8Array(rows * indices.length * run);
  let end = 0;
  for (let row = 0; row < rows; row++) {
    for (const index of indices) {
      const start = (row * size + index) * run;
      made.set(bytes.subarray(start, start + run), end);
      end += run;
    }
  }
  return made;
}
