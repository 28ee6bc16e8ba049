import { TierbedError } from '../../base/errors.js';
import { cutModel, findCuts } from '../../onnx/cut.js';
import type { TensorType } from '../../onnx/infer.js';
import type { Graph, Model, Node } from '../../onnx/model.js';

/**
 * The model cut short: what stands before `at`, and behind it the model's own head, which begins at the last tensor that
 * could stand in its place.
 *
 * @param values types and shapes of one item's tensors
 * @returns the model, and the tensor at which its head begins
 * @throws TierbedError `invalid` when no later tensor has the shape of `at`
 */
export async function reattached(
  model: Model,
  at: string,
  values: ReadonlyMap<string, TensorType>,
): Promise<{ model: Model; from: string }> {
  const from = headStart(model, at, values);
  if (from === undefined) {
    const shape = values.get(at)?.shape?.join(', ') ?? '?';
    throw new TierbedError(
      'invalid',
      `no tensor behind ${at} [${shape}] that the head could be taken off has its shape`,
      {
        fix: 'Fit a new head (`head: fit`), or choose a tensor with the shape of what the head takes.',
      },
    );
  }
  const [front] = (await cutModel(model, [[at]])) as [Model, Model];
  const [, head] = (await cutModel(model, [[from]])) as [Model, Model];
  return { model: joined(front, head, new Map([[from, at]])), from };
}

/** The last tensor behind `at` that alone divides the model and is of the same type and shape, or as good to its head. */
function headStart(model: Model, at: string, values: ReadonlyMap<string, TensorType>): string | undefined {
  const single = findCuts(model).flatMap(({ tensors }) => (tensors.length === 1 ? (tensors as [string]) : []));
  const here = values.get(at);
  const behind = single.slice(single.indexOf(at) + 1);
  return behind.findLast((name) => {
    const there = values.get(name);
    if (!here?.shape || !there?.shape || here.dtype !== there.dtype) return false;
    if (here.shape.length !== there.shape.length) return false;
    // A head that begins with the mean over the map takes any map of its channels.
    const sized = here.shape.length === 4 && isAveraged(model.graph, name) ? 2 : here.shape.length;
    return here.shape.slice(0, sized).every((dim, axis) => dim === there.shape?.[axis]);
  });
}

function isAveraged({ nodes }: Graph, tensor: string): boolean {
  const users = nodes.filter(({ inputs }) => inputs.includes(tensor));
  return users.length > 0 && users.every(({ opType }) => opType === 'GlobalAveragePool');
}

/** Two stages as one model; the second's inputs are renamed to tensors of the first. Constants of both are there once. */
function joined(front: Model, head: Model, renamed: ReadonlyMap<string, string>): Model {
  const rename = (name: string): string => renamed.get(name) ?? name;
  const made = new Set(front.graph.nodes.flatMap(({ outputs }) => outputs));
  const added = head.graph.nodes
    .filter(({ outputs }) => !outputs.some((name) => made.has(name)))
    .map((node): Node => ({ ...node, inputs: node.inputs.map(rename) }));
  const known = new Set(front.graph.initializers.map(({ name }) => name));
  const seen = new Set(front.graph.inputs.map(({ name }) => name));
  return {
    ...front,
    graph: {
      ...front.graph,
      nodes: [...front.graph.nodes, ...added],
      initializers: [...front.graph.initializers, ...head.graph.initializers.filter(({ name }) => !known.has(name))],
      inputs: [...front.graph.inputs, ...head.graph.inputs.filter(({ name }) => !renamed.has(name) && !seen.has(name))],
      outputs: head.graph.outputs,
      // Shapes behind the place may be others than they were.
      valueInfo: front.graph.valueInfo,
    },
    functions: [
      ...new Map(
        [...front.functions, ...head.functions].map((f) => [`${f.domain} ${f.name} ${f.overload}`, f]),
      ).values(),
    ],
  };
}
