import { basename } from 'node:path';
import { messageOf, TierbedError } from '../base/errors.js';
import { dataTypeName, rawBytes } from './data-types.js';
import { resolveExternal } from './external.js';
import {
  type Attribute,
  type AttributeValue,
  DATA_TYPE,
  type Dim,
  type FunctionProto,
  type Graph,
  type Initializer,
  type Model,
  type Node,
  type OpsetId,
  type SparseInitializer,
  type StringEntry,
  type TensorData,
  type TypeExtras,
  type ValueInfo,
  type ValueType,
} from './model.js';
import {
  ATTRIBUTE_TYPE,
  decodeWire,
  EXTERNAL_LOCATION,
  toBigInt,
  toNumber,
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
import { elementCount } from './tensor.js';
import { typedBytes } from './typed-data.js';

export interface DecodeOptions {
  /** The model's file, for messages. */
  readonly path?: string;
  /** The model's folder, where external data is looked for. */
  readonly dir?: string;
}

/**
 * Parses an ONNX model. Weights in raw_data stay views of `bytes`; weights in typed fields become raw bytes; weights
 * in external files are located and checked but not read. The graph's own rules are checked by `checkModel`.
 *
 * @throws TierbedError `invalid` when the bytes are not such a message or a tensor's data does not fit its dims;
 *   `missing` and `refused` as in `resolveExternal`
 */
export function decodeModelProto(bytes: Uint8Array, options: DecodeOptions = {}): Model {
  const file = options.path === undefined ? 'model' : basename(options.path);
  return new Decoder(file, options.dir).model(parse(bytes, file));
}

function parse(bytes: Uint8Array, file: string): WireModel {
  if (bytes.byteLength === 0) {
    throw new TierbedError('invalid', `${file} is empty`, { fix: 'export or fetch the model again' });
  }
  try {
    return decodeWire(bytes);
  } catch (cause) {
    const text = messageOf(cause);
    if (text.includes('max depth')) {
      throw new TierbedError('invalid', `${file}: graphs are nested too deep (over 100 messages)`, {
        fix: 'export the model without so many If or Loop in one another',
        cause,
      });
    }
    if (text.includes('index out of range')) {
      throw new TierbedError('invalid', `${file} is not an ONNX model, or is cut short (${text})`, {
        fix: "compare the file's size and checksum with its source's",
        cause,
      });
    }
    throw new TierbedError('invalid', `${file} is not an ONNX model (${text})`, {
      fix: 'give a file that an exporter to ONNX wrote',
      cause,
    });
  }
}

const EXPORT_AGAIN = 'export or fetch the model again: this file is damaged';

/** Turns messages into plain data; knows the file, and the node at hand, for messages. */
class Decoder {
  readonly #file: string;
  readonly #dir: string | undefined;
  #node = '';

  constructor(file: string, dir: string | undefined) {
    this.#file = file;
    this.#dir = dir;
  }

  model(wire: WireModel): Model {
    if (!wire.graph) {
      throw new TierbedError('invalid', `${this.#file} has no graph: it is not an ONNX model, or is cut short`, {
        fix: 'give a file that an exporter to ONNX wrote',
      });
    }
    return {
      irVersion: toNumber(wire.irVersion),
      opsetImport: (wire.opsetImport ?? []).map(opset),
      producerName: wire.producerName ?? '',
      producerVersion: wire.producerVersion ?? '',
      domain: wire.domain ?? '',
      modelVersion: toBigInt(wire.modelVersion),
      docString: wire.docString ?? '',
      metadataProps: entries(wire.metadataProps),
      graph: this.#graph(wire.graph),
      functions: (wire.functions ?? []).map((f) => this.#function(f)),
      ...(wire.trainingInfo?.length && { trainingInfo: wire.trainingInfo }),
      ...(wire.configuration?.length && { configuration: wire.configuration }),
      ...unknownOf(wire),
    };
  }

  #graph(wire: WireGraph): Graph {
    return {
      name: wire.name ?? '',
      nodes: (wire.node ?? []).map((n) => this.#nodeOf(n)),
      initializers: (wire.initializer ?? []).map((t) => this.#tensor(t)),
      sparseInitializers: (wire.sparseInitializer ?? []).map((t) => this.#sparse(t)),
      inputs: (wire.input ?? []).map(valueInfo),
      outputs: (wire.output ?? []).map(valueInfo),
      valueInfo: (wire.valueInfo ?? []).map(valueInfo),
      docString: wire.docString ?? '',
      quantizationAnnotation: (wire.quantizationAnnotation ?? []).map((a) => ({
        tensorName: a.tensorName ?? '',
        quantParameterTensorNames: entries(a.quantParameterTensorNames),
        ...unknownOf(a),
      })),
      metadataProps: entries(wire.metadataProps),
      ...unknownOf(wire),
    };
  }

  #nodeOf(wire: WireNode): Node {
    const outer = this.#node;
    this.#node = wire.name || wire.output?.[0] || wire.opType || '';
    const node: Node = {
      name: wire.name ?? '',
      opType: wire.opType ?? '',
      domain: wire.domain ?? '',
      inputs: wire.input ?? [],
      outputs: wire.output ?? [],
      attributes: (wire.attribute ?? []).map((a) => this.#attribute(a)),
      docString: wire.docString ?? '',
      overload: wire.overload ?? '',
      metadataProps: entries(wire.metadataProps),
      ...(wire.deviceConfigurations?.length && { deviceConfigurations: wire.deviceConfigurations }),
      ...unknownOf(wire),
    };
    this.#node = outer;
    return node;
  }

  #attribute(wire: WireAttribute): Attribute {
    return {
      name: wire.name ?? '',
      docString: wire.docString ?? '',
      refAttrName: wire.refAttrName ?? '',
      value: this.#attributeValue(wire),
      ...unknownOf(wire),
    };
  }

  #attributeValue(wire: WireAttribute): AttributeValue {
    switch (wire.type || typeInUse(wire)) {
      case ATTRIBUTE_TYPE.float:
        return { type: 'float', f: wire.f ?? 0 };
      case ATTRIBUTE_TYPE.int:
        return { type: 'int', i: toBigInt(wire.i) };
      case ATTRIBUTE_TYPE.string:
        return { type: 'string', s: wire.s?.length ? wire.s : new Uint8Array() };
      case ATTRIBUTE_TYPE.tensor:
        return { type: 'tensor', t: this.#tensor(wire.t ?? {}) };
      case ATTRIBUTE_TYPE.graph:
        return { type: 'graph', g: this.#graph(wire.g ?? {}) };
      case ATTRIBUTE_TYPE.floats:
        return { type: 'floats', floats: wire.floats ?? [] };
      case ATTRIBUTE_TYPE.ints:
        return { type: 'ints', ints: (wire.ints ?? []).map(toBigInt) };
      case ATTRIBUTE_TYPE.strings:
        return { type: 'strings', strings: wire.strings ?? [] };
      case ATTRIBUTE_TYPE.tensors:
        return { type: 'tensors', tensors: (wire.tensors ?? []).map((t) => this.#tensor(t)) };
      case ATTRIBUTE_TYPE.graphs:
        return { type: 'graphs', graphs: (wire.graphs ?? []).map((g) => this.#graph(g)) };
      case ATTRIBUTE_TYPE.sparseTensor:
        return { type: 'sparseTensor', sparseTensor: this.#sparse(wire.sparseTensor ?? {}) };
      case ATTRIBUTE_TYPE.sparseTensors:
        return { type: 'sparseTensors', sparseTensors: (wire.sparseTensors ?? []).map((t) => this.#sparse(t)) };
      case ATTRIBUTE_TYPE.typeProto:
        return { type: 'typeProto', tp: valueType(wire.tp) };
      case ATTRIBUTE_TYPE.typeProtos:
        return { type: 'typeProtos', typeProtos: (wire.typeProtos ?? []).map(valueType) };
      default:
        return { type: 'undefined' };
    }
  }

  #tensor(wire: WireTensor): Initializer {
    const name = wire.name ?? '';
    const dims = (wire.dims ?? []).map(toNumber);
    const dataType = wire.dataType ?? 0;
    return {
      name,
      dims,
      dataType,
      data: this.#data(wire, this.#where(name), dims, dataType),
      docString: wire.docString ?? '',
      metadataProps: entries(wire.metadataProps),
      ...unknownOf(wire),
    };
  }

  #data(wire: WireTensor, where: string, dims: readonly number[], dataType: number): TensorData {
    const shape = `[${dims.join(', ')}]`;
    const elements = elementCount(dims);
    if (!dims.every((d) => Number.isSafeInteger(d) && d >= 0) || !Number.isSafeInteger(elements)) {
      throw new TierbedError('invalid', `${where} has the impossible dims ${shape}`, { fix: EXPORT_AGAIN });
    }
    if (wire.segment) {
      throw new TierbedError('invalid', `${where} is stored in segments, which no version of ONNX finished`, {
        fix: EXPORT_AGAIN,
      });
    }
    if (dataType === DATA_TYPE.string) {
      const values = wire.stringData ?? [];
      if (values.length === elements) return { kind: 'strings', values };
      throw new TierbedError('invalid', `${where} ${shape} takes ${elements} strings, the file has ${values.length}`, {
        fix: EXPORT_AGAIN,
      });
    }
    const needed = rawBytes(dataType, elements);
    if (wire.dataLocation === EXTERNAL_LOCATION) {
      if (needed === undefined) {
        throw new TierbedError('invalid', `${where} has the unknown element ${dataTypeName(dataType)}`, {
          fix: 'convert it to an element type of ONNX IR version 12 or older',
        });
      }
      return this.#external(wire, where, needed);
    }
    // The exporter's fields may be empty while there are no elements; then there is nothing to tell apart.
    const bytes = (wire.rawData?.length ? wire.rawData : typedBytes(wire)) ?? new Uint8Array();
    if (needed !== undefined && bytes.byteLength !== needed) {
      throw new TierbedError(
        'invalid',
        `${where} ${dataTypeName(dataType)} ${shape} takes ${needed} bytes, the file has ${bytes.byteLength}`,
        { fix: EXPORT_AGAIN },
      );
    }
    return { kind: 'raw', bytes };
  }

  #external(wire: WireTensor, where: string, needed: number): TensorData {
    const fields = new Map((wire.externalData ?? []).map(({ key, value }) => [key ?? '', value ?? '']));
    if (this.#dir === undefined) {
      throw new TierbedError('invalid', `${where} has external data, but the model came without its folder`, {
        fix: 'read the model from its file, beside which the data lies',
      });
    }
    const length = fields.get('length');
    return resolveExternal(
      {
        location: fields.get('location') ?? '',
        offset: Number(fields.get('offset') ?? 0),
        length: length === undefined ? undefined : Number(length),
      },
      this.#dir,
      where,
      needed,
    );
  }

  #sparse(wire: WireSparse): SparseInitializer {
    return {
      values: this.#tensor(wire.values ?? {}),
      indices: this.#tensor(wire.indices ?? {}),
      dims: (wire.dims ?? []).map(toNumber),
      ...unknownOf(wire),
    };
  }

  #function(wire: WireFunction): FunctionProto {
    return {
      name: wire.name ?? '',
      domain: wire.domain ?? '',
      overload: wire.overload ?? '',
      inputs: wire.input ?? [],
      outputs: wire.output ?? [],
      attributes: wire.attribute ?? [],
      attributeProtos: (wire.attributeProto ?? []).map((a) => this.#attribute(a)),
      nodes: (wire.node ?? []).map((n) => this.#nodeOf(n)),
      opsetImport: (wire.opsetImport ?? []).map(opset),
      valueInfo: (wire.valueInfo ?? []).map(valueInfo),
      docString: wire.docString ?? '',
      metadataProps: entries(wire.metadataProps),
      ...unknownOf(wire),
    };
  }

  #where(tensor: string): string {
    const node = this.#node && `node ${this.#node}: `;
    return `${this.#file}: ${node}tensor ${tensor || 'without a name'}`;
  }
}

/** The field in use where the type is not written: files of IR version 1, and exporters that forget it. */
function typeInUse(wire: WireAttribute): number {
  const has = (field: keyof WireAttribute): boolean => {
    if (!Object.hasOwn(wire, field)) return false;
    const value = wire[field];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null;
  };
  if (has('f')) return ATTRIBUTE_TYPE.float;
  if (has('i')) return ATTRIBUTE_TYPE.int;
  if (has('s')) return ATTRIBUTE_TYPE.string;
  if (has('t')) return ATTRIBUTE_TYPE.tensor;
  if (has('g')) return ATTRIBUTE_TYPE.graph;
  if (has('floats')) return ATTRIBUTE_TYPE.floats;
  if (has('ints')) return ATTRIBUTE_TYPE.ints;
  if (has('strings')) return ATTRIBUTE_TYPE.strings;
  if (has('tensors')) return ATTRIBUTE_TYPE.tensors;
  if (has('graphs')) return ATTRIBUTE_TYPE.graphs;
  if (has('sparseTensor')) return ATTRIBUTE_TYPE.sparseTensor;
  if (has('sparseTensors')) return ATTRIBUTE_TYPE.sparseTensors;
  if (has('tp')) return ATTRIBUTE_TYPE.typeProto;
  if (has('typeProtos')) return ATTRIBUTE_TYPE.typeProtos;
  return 0;
}

function unknownOf(wire: Wire): { unknown?: readonly Uint8Array[] } {
  return wire.$unknowns?.length ? { unknown: wire.$unknowns } : {};
}

function entries(wires: readonly WireEntry[] | undefined): StringEntry[] {
  return (wires ?? []).map((wire) => ({ key: wire.key ?? '', value: wire.value ?? '', ...unknownOf(wire) }));
}

function opset(wire: WireOpset): OpsetId {
  return { domain: wire.domain ?? '', version: toNumber(wire.version), ...unknownOf(wire) };
}

function valueInfo(wire: WireValueInfo): ValueInfo {
  return {
    name: wire.name ?? '',
    type: valueType(wire.type),
    docString: wire.docString ?? '',
    metadataProps: entries(wire.metadataProps),
    ...unknownOf(wire),
  };
}

function valueType(wire: WireType | undefined): ValueType {
  if (!wire) return { kind: 'undefined' };
  const { tensorType, sparseTensorType, sequenceType, optionalType, mapType, opaqueType } = wire;
  if (tensorType) return { kind: 'tensor', ...shaped(tensorType), ...extrasOf(wire, tensorType) };
  if (sparseTensorType) {
    return { kind: 'sparseTensor', ...shaped(sparseTensorType), ...extrasOf(wire, sparseTensorType) };
  }
  if (sequenceType) {
    return { kind: 'sequence', elem: valueType(sequenceType.elemType), ...extrasOf(wire, sequenceType) };
  }
  if (optionalType) {
    return { kind: 'optional', elem: valueType(optionalType.elemType), ...extrasOf(wire, optionalType) };
  }
  if (mapType) {
    const { keyType = 0, valueType: value } = mapType;
    return { kind: 'map', keyType, value: valueType(value), ...extrasOf(wire, mapType) };
  }
  if (opaqueType) {
    const { domain = '', name = '' } = opaqueType;
    return { kind: 'opaque', domain, name, ...extrasOf(wire, opaqueType) };
  }
  return { kind: 'undefined', ...extrasOf(wire, undefined) };
}

function shaped(wire: WireTensorType): { elemType: number; shape: readonly Dim[] | undefined } {
  return {
    elemType: wire.elemType ?? 0,
    shape: wire.shape
      ? (wire.shape.dim ?? []).map((dim) => {
          if (dim.dimParam) return dim.dimParam;
          // Some exporters write -1 where they know nothing.
          const value = Object.hasOwn(dim, 'dimValue') ? toNumber(dim.dimValue) : -1;
          return value < 0 ? undefined : value;
        })
      : undefined,
  };
}

function extrasOf(
  wire: WireType,
  inner: (Wire & { shape?: WireTensorType['shape'] }) | undefined,
): { extras?: TypeExtras } {
  const dims = inner?.shape?.dim ?? [];
  const extras: TypeExtras = {
    ...(wire.denotation && { denotation: wire.denotation }),
    ...unknownOf(wire),
    ...(inner?.$unknowns?.length && { innerUnknown: inner.$unknowns }),
    ...(inner?.shape?.$unknowns?.length && { shapeUnknown: inner.shape.$unknowns }),
    ...(dims.some((dim) => dim.denotation || dim.$unknowns?.length) && {
      dims: dims.map((dim) => ({ ...(dim.denotation && { denotation: dim.denotation }), ...unknownOf(dim) })),
    }),
  };
  return Object.keys(extras).length > 0 ? { extras } : {};
}
