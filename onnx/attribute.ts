import { TierbedError } from '../base/errors.js';
import type { Attribute, AttributeValue, Graph, Initializer, Node } from './model.js';

type ValueOf<T extends AttributeValue['type']> = Extract<AttributeValue, { type: T }>;

/** A node's attribute by name, or undefined. */
export function attr(node: Node, name: string): Attribute | undefined {
  return node.attributes.find((attribute) => attribute.name === name);
}

function typedValue<T extends AttributeValue['type']>(node: Node, name: string, type: T): ValueOf<T> | undefined {
  const value = attr(node, name)?.value;
  if (value === undefined) return undefined;
  if (value.type !== type) {
    throw new TierbedError(
      'invalid',
      `attribute ${name} of node ${node.name || node.outputs[0]} (${node.opType}) is ${value.type}, not ${type}`,
    );
  }
  return value as ValueOf<T>;
}

/** Value of an int attribute as a number. @throws TierbedError `invalid` when it has another type */
export function intAttr(node: Node, name: string): number | undefined {
  const i = typedValue(node, name, 'int')?.i;
  return i === undefined ? undefined : Number(i);
}

/** Value of a list-of-ints attribute as numbers. @throws TierbedError `invalid` when it has another type */
export function intsAttr(node: Node, name: string): readonly number[] | undefined {
  return typedValue(node, name, 'ints')?.ints.map(Number);
}

/** Value of a float attribute. @throws TierbedError `invalid` when it has another type */
export function floatAttr(node: Node, name: string): number | undefined {
  return typedValue(node, name, 'float')?.f;
}

/** Value of a list-of-floats attribute. @throws TierbedError `invalid` when it has another type */
export function floatsAttr(node: Node, name: string): readonly number[] | undefined {
  return typedValue(node, name, 'floats')?.floats;
}

/** Value of a string attribute, read as UTF-8. @throws TierbedError `invalid` when it has another type */
export function stringAttr(node: Node, name: string): string | undefined {
  const s = typedValue(node, name, 'string')?.s;
  return s === undefined ? undefined : Buffer.from(s.buffer, s.byteOffset, s.byteLength).toString('utf8');
}

/** Value of a tensor attribute. @throws TierbedError `invalid` when it has another type */
export function tensorAttr(node: Node, name: string): Initializer | undefined {
  return typedValue(node, name, 'tensor')?.t;
}

/** Value of a graph attribute: a branch of If, a body of Loop or Scan. @throws TierbedError `invalid` for another type */
export function graphAttr(node: Node, name: string): Graph | undefined {
  return typedValue(node, name, 'graph')?.g;
}

/** Every graph that a node holds. */
export function subgraphs(node: Node): readonly Graph[] {
  return node.attributes.flatMap(({ value }) =>
    value.type === 'graph' ? [value.g] : value.type === 'graphs' ? value.graphs : [],
  );
}
