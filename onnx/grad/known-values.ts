import { initializerOf } from '../build/attributes.js';
import { inferKnown } from '../infer.js';
import { DATA_TYPE, type Initializer, type Model } from '../model.js';
import type { Known } from '../shapes/context.js';
import { denseTensor } from '../tensor.js';
import { TYPED_ARRAY } from '../typed-array.js';

/**
 * Makes constants of what the shapes of a model settle, such as where a Slice ends that is computed from the length of a
 * text: rules of gradients have to know it. Integers alone, and not what is an output.
 */
export function withKnownValues(model: Model): Model {
  const known = inferKnown(model, {});
  const outputs = new Set(model.graph.outputs.map(({ name }) => name));
  const made: Initializer[] = [];
  const nodes = model.graph.nodes.filter((node) => {
    const found = node.outputs.map((name) => (outputs.has(name) ? undefined : constantOf(name, known.get(name))));
    if (found.length === 0 || !found.every((each) => each !== undefined)) return true;
    made.push(...found);
    return false;
  });
  return { ...model, graph: { ...model.graph, nodes, initializers: [...model.graph.initializers, ...made] } };
}

const INTEGERS = ['int64', 'int32', 'bool'] as const;

function constantOf(name: string, known: Known | undefined): Initializer | undefined {
  const dtype = INTEGERS.find((each) => DATA_TYPE[each] === known?.dtype);
  const { shape, value } = known ?? {};
  if (name === '' || !dtype || !numbers(shape) || !numbers(value)) return undefined;
  const elements = dtype === 'int64' ? BigInt64Array.from(value, BigInt) : new TYPED_ARRAY[dtype](value.map(Number));
  return initializerOf(name, denseTensor(dtype, shape, new Uint8Array(elements.buffer)));
}

function numbers(list: readonly unknown[] | undefined): list is readonly number[] {
  return list?.every((each) => typeof each === 'number') ?? false;
}
