import { attributesOf, floats } from '../../build.js';
import { initializerTensor } from '../../initializer.js';
import type { Attribute, Model, Node } from '../../model.js';
import { isOnnxDomain } from '../../passes/walk.js';
import { float32Values } from '../../tensor.js';
import { NCHWC } from './domain.js';

/**
 * Lets blocked convolutions add what is added to their results, and do the activation behind them, on their way: each
 * saves a pass over a picture, and its memory.
 */
export function fuseBlocked(model: Model): Model {
  const { graph } = model;
  const numbers = constantNumbers(model);
  const uses = new Map<string, number>();
  for (const name of [...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)]) {
    uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  const given = new Set([...graph.initializers, ...graph.inputs].map(({ name }) => name));
  const kept = new Map<string, Node>();
  const convolutions = new Map<string, string>();
  const keyOf = ({ outputs }: Node): string => outputs.find((name) => name !== '') ?? '';
  for (const node of graph.nodes) {
    const found = (name: string | undefined): Node | undefined => {
      const key = name === undefined || uses.get(name) !== 1 ? undefined : convolutions.get(name);
      return key === undefined ? undefined : kept.get(key);
    };
    const fused = isOnnxDomain(node.domain) ? fusedWith(node, found, given, numbers) : undefined;
    if (fused) kept.delete(keyOf(fused.convolution));
    const result = fused?.node ?? node;
    kept.set(keyOf(result), result);
    if (result.domain === NCHWC && result.opType === 'Conv') convolutions.set(keyOf(result), keyOf(result));
  }
  return { ...model, graph: { ...graph, nodes: [...kept.values()] } };
}

interface Fused {
  /** What it takes the place of, beside the node. */
  readonly convolution: Node;
  readonly node: Node;
}

function fusedWith(
  node: Node,
  convolutionOf: (name: string | undefined) => Node | undefined,
  given: ReadonlySet<string>,
  numbers: ReadonlyMap<string, number>,
): Fused | undefined {
  const { opType, inputs, outputs } = node;
  if (opType === 'Add') {
    // The later one has the other at hand.
    for (const [i, other] of [
      [1, 0],
      [0, 1],
    ] as const) {
      const convolution = convolutionOf(inputs[i]);
      const sum = inputs[other] as string;
      if (!convolution || isActivated(convolution) || (convolution.inputs[3] ?? '') !== '' || given.has(sum)) continue;
      const [x, w, bias = ''] = convolution.inputs as readonly [string, string, string?];
      return { convolution, node: { ...convolution, inputs: [x, w, bias, sum], outputs } };
    }
    return undefined;
  }
  const convolution = convolutionOf(inputs[0]);
  if (!convolution || isActivated(convolution)) return undefined;
  const activation = activationOf(node, numbers);
  if (!activation) return undefined;
  const attributes = [...convolution.attributes, ...activation];
  return { convolution, node: { ...convolution, attributes, outputs } };
}

function activationOf(
  { opType, inputs }: Node,
  numbers: ReadonlyMap<string, number>,
): readonly Attribute[] | undefined {
  if (opType === 'Relu') return attributesOf({ activation: 'Relu' });
  const [low, high] = [numbers.get(inputs[1] ?? ''), numbers.get(inputs[2] ?? '')];
  if (opType !== 'Clip' || low === undefined || high === undefined) return undefined;
  return attributesOf({ activation: 'Clip', activation_params: floats([low, high]) });
}

function isActivated({ attributes }: Node): boolean {
  return attributes.some(({ name }) => name === 'activation');
}

function constantNumbers({ graph }: Model): ReadonlyMap<string, number> {
  const scalars = graph.initializers.filter(({ dims, dataType }) => dims.length === 0 && dataType === 1);
  return new Map(
    scalars.flatMap((each): [string, number][] => {
      const tensor = initializerTensor(each);
      return tensor.dtype === 'float32' ? [[each.name, float32Values(tensor)[0] as number]] : [];
    }),
  );
}
