import { floatAttr, intAttr } from '../../attribute.js';
import { GraphBuilder, type Value } from '../../build.js';
import type { TensorType } from '../../infer.js';
import type { Model, Node } from '../../model.js';
import { BLOCKED } from './domain.js';
import { BlockedEmitter, type Geometry, type Picture } from './emit.js';
import { geometryOf, groupOf } from './geometry.js';
import { emitNormalisation, emitStatistics } from './normalisation.js';

/** Makes the nodes of a blocked forward pass (`blockedForward`) such as ONNX Runtime has. */
export function lower(model: Model, shapes: ReadonlyMap<string, TensorType>): Model {
  const { nodes } = model.graph;
  const opsetImport = model.opsetImport.filter(({ domain }) => domain !== BLOCKED);
  const builder = GraphBuilder.from({ ...model, opsetImport, graph: { ...model.graph, nodes: [] } });
  builder.reserve(model.graph.nodes);
  const sizes = (name: string): Picture => shapes.get(name)?.shape as unknown as Picture;
  for (const node of nodes) {
    if (node.domain !== BLOCKED) builder.copy(node);
    else LOWERED[node.opType]?.(new BlockedEmitter(builder, intAttr(node, 'block') as number), node, sizes);
  }
  return builder.build();
}

type Lower = (to: BlockedEmitter, node: Node, sizes: (name: string) => Picture) => void;

const LOWERED: Readonly<Record<string, Lower>> = {
  Block: (to, { inputs, outputs }) => void to.blocked(inputs[0] as Value, outputs[0] as string),
  Unblock(to, { inputs, outputs }, sizes) {
    to.plain(inputs[0] as Value, sizes(outputs[0] as string)[1], { name: outputs[0] as string });
  },
  Conv(to, node, sizes) {
    const [x, w, bias] = node.inputs as readonly [Value, Value, Value?];
    const shape = sizes(w);
    const options = { bias, name: node.outputs[0] as string };
    const geometry = geometryOf(node, shape) as Geometry;
    if (groupOf(node) > 1) to.depthwise(x, w, shape[0], geometry, options);
    else to.convolution(x, w, shape, geometry, { ...options, plainInput: intAttr(node, 'plain') === 1 });
  },
  Statistics(to, { inputs, outputs }, sizes) {
    const [x, mean, variance] = [...inputs, ...outputs] as string[] as [string, string, string];
    emitStatistics(to, x, sizes(x), { mean, variance });
  },
  BatchNormalization(to, node, sizes) {
    const channels = sizes(node.inputs[0] as string)[1];
    emitNormalisation(to, node.inputs, channels, floatAttr(node, 'epsilon') ?? 1e-5, node.outputs[0] as string);
  },
  Clip(to, node) {
    const bounds = ['low', 'high'].map((name) => to.builder.float32(floatAttr(node, name) as number));
    to.emit('Clip', [node.inputs[0], ...bounds], {}, node.outputs[0] as string);
  },
  GlobalAveragePool(to, { inputs, outputs }, sizes) {
    to.cropped(to.pool(inputs[0] as Value), sizes(inputs[0] as string)[1], 1, outputs[0] as string);
  },
};
