import { TierbedError } from '../base/errors.js';
import { initializerBytes } from './initializer.js';
import type {
  Attribute,
  AttributeValue,
  Dim,
  FunctionProto,
  Graph,
  Initializer,
  Model,
  Node,
  OpsetId,
  SparseInitializer,
  StringEntry,
  TypeExtras,
  ValueInfo,
  ValueType,
} from './model.js';
import {
  ATTRIBUTE_TYPE,
  EXTERNAL_LOCATION,
  encodeWire,
  fromBigInt,
  MESSAGE_LIMIT_BYTES,
  type Wire,
  type WireAttribute,
  type WireEntry,
  type WireFunction,
  type WireGraph,
  type WireModel,
  type WireNode,
  type WireOpset,
  type WireSparse,
  type WireTensor,
  type WireTensorType,
  type WireType,
  type WireValueInfo,
} from './schema.js';

/** Where a tensor's elements lie in a file that is written beside the model. */
export interface Placed {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** Says where a weight is kept outside the model; undefined keeps it inside. */
export type Placement = (initializer: Initializer) => Placed | undefined;

/**
 * Serialises a model with every weight inside it.
 *
 * @param placement weights for which it gives a place are written as references to it
 * @throws TierbedError `invalid` when the result would pass protobuf's limit of 2 GiB
 */
export function encodeModel(model: Model, placement: Placement = () => undefined): Uint8Array {
  if (weightBytes(model.graph, placement) > MESSAGE_LIMIT_BYTES) throw tooLarge();
  const bytes = encodeWire(new Encoder(placement).model(model));
  if (bytes.byteLength > MESSAGE_LIMIT_BYTES) throw tooLarge();
  return bytes;
}

function tooLarge(): TierbedError {
  return new TierbedError('invalid', 'the model is over 2 GiB, more than one protobuf message can hold', {
    fix: 'write its weights as external data',
  });
}

/** Bytes of the weights that stay inside the message. */
export function weightBytes(graph: Graph, placement: Placement): number {
  let total = 0;
  const add = (initializer: Initializer): void => {
    const { data } = initializer;
    if (data.kind === 'external') total += placement(initializer) ? 0 : data.length;
    else if (data.kind === 'raw') total += placement(initializer) ? 0 : data.bytes.byteLength;
  };
  graph.initializers.forEach(add);
  for (const { values } of graph.sparseInitializers) add(values);
  for (const { attributes } of graph.nodes) {
    for (const { value } of attributes) {
      if (value.type === 'graph') total += weightBytes(value.g, placement);
      else if (value.type === 'graphs') for (const g of value.graphs) total += weightBytes(g, placement);
      else if (value.type === 'tensor') add(value.t);
    }
  }
  return total;
}

/** Turns plain data into messages. */
class Encoder {
  readonly #placement: Placement;

  constructor(placement: Placement) {
    this.#placement = placement;
  }

  model(model: Model): WireModel {
    return {
      irVersion: model.irVersion,
      ...text('producerName', model.producerName),
      ...text('producerVersion', model.producerVersion),
      ...text('domain', model.domain),
      ...(model.modelVersion !== 0n && { modelVersion: fromBigInt(model.modelVersion) }),
      ...text('docString', model.docString),
      graph: this.#graph(model.graph),
      opsetImport: model.opsetImport.map(opset),
      metadataProps: entries(model.metadataProps),
      functions: model.functions.map((f) => this.#function(f)),
      ...(model.trainingInfo && { trainingInfo: [...model.trainingInfo] }),
      ...(model.configuration && { configuration: [...model.configuration] }),
      ...unknownOf(model.unknown),
    };
  }

  #graph(graph: Graph): WireGraph {
    return {
      node: graph.nodes.map((n) => this.#node(n)),
      ...text('name', graph.name),
      initializer: graph.initializers.map((t) => this.#tensor(t, this.#placement(t))),
      ...text('docString', graph.docString),
      input: graph.inputs.map(valueInfo),
      output: graph.outputs.map(valueInfo),
      valueInfo: graph.valueInfo.map(valueInfo),
      quantizationAnnotation: graph.quantizationAnnotation.map((a) => ({
        tensorName: a.tensorName,
        quantParameterTensorNames: entries(a.quantParameterTensorNames),
        ...unknownOf(a.unknown),
      })),
      sparseInitializer: graph.sparseInitializers.map((t) => this.#sparse(t)),
      metadataProps: entries(graph.metadataProps),
      ...unknownOf(graph.unknown),
    };
  }

  #node(node: Node): WireNode {
    return {
      input: [...node.inputs],
      output: [...node.outputs],
      ...text('name', node.name),
      opType: node.opType,
      attribute: node.attributes.map((a) => this.#attribute(a)),
      ...text('docString', node.docString),
      ...text('domain', node.domain),
      ...text('overload', node.overload),
      metadataProps: entries(node.metadataProps),
      ...(node.deviceConfigurations && { deviceConfigurations: [...node.deviceConfigurations] }),
      ...unknownOf(node.unknown),
    };
  }

  #attribute(attribute: Attribute): WireAttribute {
    return {
      name: attribute.name,
      ...text('docString', attribute.docString),
      ...text('refAttrName', attribute.refAttrName),
      // An attribute that refers to a function's own has a type but no value; a type of a later version is in `unknown`.
      ...(attribute.value.type !== 'undefined' && { type: ATTRIBUTE_TYPE[attribute.value.type] }),
      ...(attribute.refAttrName === '' && this.#attributeValue(attribute.value)),
      ...unknownOf(attribute.unknown),
    };
  }

  #attributeValue(value: AttributeValue): WireAttribute {
    switch (value.type) {
      case 'float':
        return { f: value.f };
      case 'int':
        return { i: fromBigInt(value.i) };
      case 'string':
        return { s: value.s };
      case 'tensor':
        return { t: this.#tensor(value.t) };
      case 'graph':
        return { g: this.#graph(value.g) };
      case 'floats':
        return { floats: [...value.floats] };
      case 'ints':
        return { ints: value.ints.map(fromBigInt) };
      case 'strings':
        return { strings: [...value.strings] };
      case 'tensors':
        return { tensors: value.tensors.map((t) => this.#tensor(t)) };
      case 'graphs':
        return { graphs: value.graphs.map((g) => this.#graph(g)) };
      case 'sparseTensor':
        return { sparseTensor: this.#sparse(value.sparseTensor) };
      case 'sparseTensors':
        return { sparseTensors: value.sparseTensors.map((t) => this.#sparse(t)) };
      case 'typeProto':
        return { tp: valueType(value.tp) };
      case 'typeProtos':
        return { typeProtos: value.typeProtos.map(valueType) };
      case 'undefined':
        return {};
    }
  }

  #tensor(tensor: Initializer, placed?: Placed): WireTensor {
    return {
      dims: [...tensor.dims],
      dataType: tensor.dataType,
      ...text('name', tensor.name),
      ...text('docString', tensor.docString),
      metadataProps: entries(tensor.metadataProps),
      ...(placed ? referenceTo(placed) : elements(tensor)),
      ...unknownOf(tensor.unknown),
    };
  }

  #sparse(sparse: SparseInitializer): WireSparse {
    return {
      values: this.#tensor(sparse.values),
      indices: this.#tensor(sparse.indices),
      dims: [...sparse.dims],
      ...unknownOf(sparse.unknown),
    };
  }

  #function(f: FunctionProto): WireFunction {
    return {
      name: f.name,
      domain: f.domain,
      ...text('overload', f.overload),
      input: [...f.inputs],
      output: [...f.outputs],
      attribute: [...f.attributes],
      attributeProto: f.attributeProtos.map((a) => this.#attribute(a)),
      node: f.nodes.map((n) => this.#node(n)),
      opsetImport: f.opsetImport.map(opset),
      valueInfo: f.valueInfo.map(valueInfo),
      ...text('docString', f.docString),
      metadataProps: entries(f.metadataProps),
      ...unknownOf(f.unknown),
    };
  }
}

function elements(tensor: Initializer): WireTensor {
  if (tensor.data.kind === 'strings') return { stringData: [...tensor.data.values] };
  return { rawData: initializerBytes(tensor) };
}

function referenceTo({ location, offset, length }: Placed): WireTensor {
  return {
    dataLocation: EXTERNAL_LOCATION,
    externalData: [
      { key: 'location', value: location },
      { key: 'offset', value: String(offset) },
      { key: 'length', value: String(length) },
    ],
  };
}

/** A text field, left out while empty. */
function text<K extends string>(key: K, value: string): { [P in K]?: string } {
  return value === '' ? {} : ({ [key]: value } as { [P in K]?: string });
}

function unknownOf(unknown: readonly Uint8Array[] | undefined): Wire {
  return unknown?.length ? { $unknowns: [...unknown] } : {};
}

function entries(list: readonly StringEntry[]): WireEntry[] {
  return list.map(({ key, value, unknown }) => ({ key, value, ...unknownOf(unknown) }));
}

function opset({ domain, version, unknown }: OpsetId): WireOpset {
  return { domain, version, ...unknownOf(unknown) };
}

function valueInfo(info: ValueInfo): WireValueInfo {
  return {
    name: info.name,
    ...(!(info.type.kind === 'undefined' && info.type.extras === undefined) && { type: valueType(info.type) }),
    ...text('docString', info.docString),
    metadataProps: entries(info.metadataProps),
    ...unknownOf(info.unknown),
  };
}

function valueType(type: ValueType): WireType {
  const { extras = {} } = type;
  const outer: WireType = { ...text('denotation', extras.denotation ?? ''), ...unknownOf(extras.unknown) };
  const inner = unknownOf(extras.innerUnknown);
  switch (type.kind) {
    case 'tensor':
      return { ...outer, tensorType: shaped(type.elemType, type.shape, extras) };
    case 'sparseTensor':
      return { ...outer, sparseTensorType: shaped(type.elemType, type.shape, extras) };
    case 'sequence':
      return { ...outer, sequenceType: { elemType: valueType(type.elem), ...inner } };
    case 'optional':
      return { ...outer, optionalType: { elemType: valueType(type.elem), ...inner } };
    case 'map':
      return { ...outer, mapType: { keyType: type.keyType, valueType: valueType(type.value), ...inner } };
    case 'opaque':
      return { ...outer, opaqueType: { ...text('domain', type.domain), ...text('name', type.name), ...inner } };
    case 'undefined':
      return outer;
  }
}

function shaped(elemType: number, shape: readonly Dim[] | undefined, extras: TypeExtras): WireTensorType {
  const dims = extras.dims?.length === shape?.length ? extras.dims : undefined;
  return {
    elemType,
    ...(shape && {
      shape: {
        dim: shape.map((dim, i) => ({
          ...(typeof dim === 'number' ? { dimValue: dim } : dim === undefined ? {} : { dimParam: dim }),
          ...text('denotation', dims?.[i]?.denotation ?? ''),
          ...unknownOf(dims?.[i]?.unknown),
        })),
        ...unknownOf(extras.shapeUnknown),
      },
    }),
    ...unknownOf(extras.innerUnknown),
  };
}
