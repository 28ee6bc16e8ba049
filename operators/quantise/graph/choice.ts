import { suggest } from '../../../base/checked-yaml.js';
import { TierbedError } from '../../../base/errors.js';
import type { Node } from '../../../onnx/model.js';
import type { NodeType } from './node-types.js';
import { allFinite, nodeLabel, type View } from './view.js';

/** Which nodes may be quantised. */
export interface Choice {
  /** These types alone; without it, every node that is not optional. */
  readonly nodeTypes?: readonly string[];
  readonly excludeTypes?: readonly string[];
  /** These nodes alone, by name. */
  readonly nodes?: readonly string[];
  readonly excludeNodes?: readonly string[];
}

/** The types of nodes that an operator can quantise, by name. */
export type NodeTypes = Readonly<Record<string, NodeType>>;

/** A node that stays in float although it computes with floats. */
export interface LeftNode {
  readonly position: number;
  readonly name: string;
  readonly type: string;
  readonly reason: string;
}

/**
 * Checks that a choice names types and nodes that there are.
 *
 * @throws TierbedError `invalid` that says which name is wrong and what there is
 */
export function checkChoice(choice: Choice, view: View, known: NodeTypes): void {
  for (const [key, types] of Object.entries({ nodeTypes: choice.nodeTypes, excludeTypes: choice.excludeTypes })) {
    const wrong = types?.find((type) => !Object.hasOwn(known, type));
    if (wrong === undefined) continue;
    throw new TierbedError('invalid', `${key} names '${wrong}', which has no int8 form`, {
      fix: `Use some of: ${Object.keys(known).join(', ')}.`,
    });
  }
  const names = new Set(view.model.graph.nodes.map(nodeLabel));
  for (const [key, nodes] of Object.entries({ nodes: choice.nodes, excludeNodes: choice.excludeNodes })) {
    const wrong = nodes?.find((name) => !names.has(name));
    if (wrong === undefined) continue;
    throw new TierbedError('invalid', `${key} names '${wrong}', and the model has no such node`, {
      fix:
        suggest(wrong, [...names]).fix ??
        '`tierbed explain MODEL --all` lists the nodes; one without a name goes by its first output.',
    });
  }
}

/** The nodes that can be quantised and may be, by position; and those that cannot or may not, with the reason. */
export function candidates(
  view: View,
  choice: Choice,
  known: NodeTypes,
): { readonly types: ReadonlyMap<number, NodeType>; readonly left: readonly LeftNode[] } {
  const types = new Map<number, NodeType>();
  const left: LeftNode[] = [];
  const include = choice.nodes && new Set(choice.nodes);
  const exclude = new Set(choice.excludeNodes);
  view.model.graph.nodes.forEach((node, position) => {
    if (view.index.constantNodes[position] || !computesFloats(node, view)) return;
    const name = nodeLabel(node);
    const type = node.domain === '' && Object.hasOwn(known, node.opType) ? known[node.opType] : undefined;
    const reason = !type
      ? 'this type of node has no int8 form'
      : (exclude.has(name) && 'excludeNodes names it') ||
        (include && !include.has(name) && 'nodes does not name it') ||
        excludedType(node, type, view, choice) ||
        refusal(node, type, view);
    if (reason) left.push({ position, name, type: node.opType, reason });
    else types.set(position, type as NodeType);
  });
  return { types, left };
}

function excludedType(
  node: Node,
  { optional }: NodeType,
  view: View,
  { nodeTypes, excludeTypes }: Choice,
): string | undefined {
  const { opType } = node;
  if (excludeTypes?.includes(opType)) return 'excludeTypes names its type';
  if (nodeTypes) return nodeTypes.includes(opType) ? undefined : 'nodeTypes does not name its type';
  return optional?.(node, view) ? 'its type is quantised only where nodeTypes names it' : undefined;
}

function refusal(node: Node, type: NodeType, view: View): string | undefined {
  const wrong = type.refusal?.(node, view);
  if (wrong !== undefined) return wrong;
  const taken = type.activations(node, view).map((i) => node.inputs[i] as string);
  for (const name of taken.filter((input) => view.index.isConstant(input))) {
    const weight = view.weight(name);
    if (!weight) return `its constant ${name} is made by other nodes`;
    if (!allFinite(weight)) return `its constant ${name} is not finite`;
  }
  const floats = [...taken, ...node.outputs];
  const other = floats.find((name) => name !== '' && !view.isFloat(name));
  return other === undefined ? undefined : `${other} is not known to be float32`;
}

/** Whether a float goes into a node or comes out: nodes for shapes and indices do not count. */
function computesFloats(node: Node, view: View): boolean {
  const looked = node.opType === 'Shape' || node.opType === 'Size' ? node.outputs : [...node.inputs, ...node.outputs];
  return looked.some((name) => name !== '' && view.isFloat(name));
}
