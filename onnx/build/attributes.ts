import { TierbedError } from '../../base/errors.js';
import { type Attribute, type AttributeValue, DATA_TYPE, type Graph, type Initializer } from '../model.js';
import type { DenseTensor } from '../tensor.js';

/** What an attribute may be given as. A whole number is an int: a float that happens to be whole is `float(1)`. */
export type AttributeInput =
  | number
  | bigint
  | boolean
  | string
  | readonly number[]
  | readonly bigint[]
  | readonly string[]
  | DenseTensor
  | Graph
  | AttributeValue;

export type Attributes = Readonly<Record<string, AttributeInput | undefined>>;

/** A float attribute, for numbers that may be whole. */
export function float(value: number): AttributeValue {
  return { type: 'float', f: value };
}

/** A list-of-floats attribute, for numbers that may be whole. */
export function floats(values: readonly number[]): AttributeValue {
  return { type: 'floats', floats: values };
}

/**
 * Attributes from plain values; an undefined one is left out.
 *
 * @throws TierbedError `internal` when a list mixes texts and numbers
 */
export function attributesOf(attributes: Attributes): Attribute[] {
  return Object.entries(attributes).flatMap(([name, input]) =>
    input === undefined ? [] : [{ name, docString: '', refAttrName: '', value: attributeValue(name, input) }],
  );
}

function attributeValue(name: string, input: AttributeInput): AttributeValue {
  if (typeof input === 'bigint') return { type: 'int', i: input };
  if (typeof input === 'boolean') return { type: 'int', i: input ? 1n : 0n };
  if (typeof input === 'string') return { type: 'string', s: Buffer.from(input, 'utf8') };
  if (typeof input === 'number') return Number.isInteger(input) ? { type: 'int', i: BigInt(input) } : float(input);
  if (isList(input)) return listOf(name, input);
  if ('type' in input) return input;
  if ('nodes' in input) return { type: 'graph', g: input };
  return { type: 'tensor', t: initializerOf('', input) };
}

function listOf(name: string, items: readonly (number | bigint | string)[]): AttributeValue {
  const strings = items.filter((item) => typeof item === 'string');
  if (strings.length > 0) {
    if (strings.length < items.length) throw new TierbedError('internal', `attribute ${name} mixes texts and numbers`);
    return { type: 'strings', strings: strings.map((item) => Buffer.from(item, 'utf8')) };
  }
  const numbers = items.filter((item) => typeof item !== 'string');
  if (numbers.every((item) => typeof item === 'bigint' || Number.isInteger(item))) {
    return { type: 'ints', ints: numbers.map((item) => BigInt(item)) };
  }
  return floats(numbers.map(Number));
}

function isList(input: object): input is readonly (number | bigint | string)[] {
  return Array.isArray(input);
}

/** A dense tensor as a TensorProto that shares its bytes. */
export function initializerOf(name: string, tensor: DenseTensor): Initializer {
  return {
    name,
    dims: tensor.shape,
    dataType: DATA_TYPE[tensor.dtype],
    data: { kind: 'raw', bytes: tensor.data },
    docString: '',
    metadataProps: [],
  };
}
