import { attributesOf } from '../../build/attributes.js';
import { DATA_TYPE, type Node } from '../../model.js';
import { denseTensor, float32Tensor } from '../../tensor.js';
import { besides, type ChangeContext, nameOf } from '../change.js';

/** A constant list of int64, named after a node. */
export function int64s(node: Node, context: ChangeContext, suffix: string, values: readonly number[]): string {
  const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return context.constant(`${nameOf(node)}_${suffix}`, denseTensor('int64', [values.length], data));
}

/** A constant list of float32, named after a node. */
export function float32s(node: Node, context: ChangeContext, suffix: string, values: readonly number[]): string {
  return context.constant(`${nameOf(node)}_${suffix}`, float32Tensor([values.length], Float32Array.from(values)));
}

/**
 * A constant scalar of the element type of a node's data, from a float attribute.
 *
 * @returns its name, and the node that casts it where the type is not float32
 */
export function scalarLike(
  node: Node,
  context: ChangeContext,
  suffix: string,
  value: number,
): { readonly name: string; readonly casts: readonly Node[] } {
  const to = context.dtype(node.inputs[0] ?? '');
  if (to === undefined) context.refuse(node, `the element type of ${node.inputs[0]} is not known`);
  const name = context.constant(`${nameOf(node)}_${suffix}`, float32Tensor([], Float32Array.of(value)));
  if (to === DATA_TYPE.float32) return { name, casts: [] };
  const cast = context.freeName(`${name}_cast`);
  return { name: cast, casts: [{ ...besides(node, 'Cast', [name], cast, attributesOf({ to })), name: cast }] };
}
