import { TierbedError } from '../../../base/errors.js';
import { subgraphs } from '../../../onnx/attribute.js';
import { attributesOf } from '../../../onnx/build.js';
import { float32ToFloat16 } from '../../../onnx/half.js';
import {
  type Attribute,
  DATA_TYPE,
  type Initializer,
  type Model,
  type Node,
  type ValueInfo,
} from '../../../onnx/model.js';
import { LARGEST_HALF } from './half-weights.js';
import { nodeLabel, weightValues } from './view.js';

/** Inputs that are float32 whatever the node computes in, by type of node. */
const ALWAYS_FLOAT32: Readonly<Record<string, readonly number[]>> = { Resize: [2], Upsample: [1] };

/**
 * A model that computes in float16. Its inputs and outputs stay float32, with a Cast behind and before them. Numbers
 * beyond float16 become the largest that it has: mostly the -1e9 of masks.
 *
 * @throws TierbedError `invalid` for a model with subgraphs, functions or operators that are not ONNX's own
 */
export function halveCompute(model: Model, name: string): { model: Model; converted: number; clamped: number } {
  refuseForeign(model, name);
  const { graph } = model;
  let converted = 0;
  let clamped = 0;
  const half = (weight: Initializer): Initializer => {
    if (weight.dataType !== DATA_TYPE.float32) return weight;
    const values = weightValues(weight).map((value) => {
      if (Math.abs(value) <= LARGEST_HALF) return value;
      clamped++;
      return Number.isNaN(value) ? value : Math.sign(value) * LARGEST_HALF;
    });
    converted++;
    const bytes = new Uint8Array(float32ToFloat16(values).buffer);
    return { ...weight, dataType: DATA_TYPE.float16, data: { kind: 'raw', bytes } };
  };
  const stays = new Set(
    graph.nodes.flatMap(({ opType, inputs }) => (ALWAYS_FLOAT32[opType] ?? []).map((i) => inputs[i] ?? '')),
  );
  const weights = new Set(graph.initializers.map((weight) => weight.name));
  const inputs = graph.inputs.filter((info) => isFloat(info) && !weights.has(info.name));
  const outputs = graph.outputs.filter(isFloat);
  // An input may be an output as well: what the nodes call it is of float16 then, too.
  const inner = new Map([...inputs, ...outputs].map((info) => [info.name, `${info.name}_half`]));
  const renamed = (names: readonly string[]) => names.map((tensor) => inner.get(tensor) ?? tensor);
  const nodes = graph.nodes.map((node) => {
    const fixed = ALWAYS_FLOAT32[node.opType] ?? [];
    return {
      ...node,
      inputs: node.inputs.map((tensor, i) => (fixed.includes(i) ? tensor : (inner.get(tensor) ?? tensor))),
      outputs: renamed(node.outputs),
      attributes: node.attributes.map((attribute) => halfAttribute(node, attribute, half)),
    };
  });
  return {
    model: {
      ...model,
      graph: {
        ...graph,
        nodes: [
          ...inputs.map((info) => cast(info.name, `${info.name}_half`, DATA_TYPE.float16)),
          ...nodes,
          ...outputs.map((info) => cast(`${info.name}_half`, info.name, DATA_TYPE.float32)),
        ],
        initializers: graph.initializers.map((weight) => (stays.has(weight.name) ? weight : half(weight))),
        inputs: graph.inputs.filter((info) => !weights.has(info.name)),
        valueInfo: [],
      },
    },
    converted,
    clamped,
  };
}

/** Types that attributes name, and tensors that they hold. */
function halfAttribute({ opType }: Node, attribute: Attribute, half: (weight: Initializer) => Initializer): Attribute {
  const { name, value } = attribute;
  if (value.type === 'tensor') return { ...attribute, value: { ...value, t: half(value.t) } };
  const namesType = (opType === 'Cast' && name === 'to') || name === 'dtype';
  if (!namesType || value.type !== 'int' || Number(value.i) !== DATA_TYPE.float32) return attribute;
  return { ...attribute, value: { type: 'int', i: BigInt(DATA_TYPE.float16) } };
}

function refuseForeign({ graph, functions }: Model, name: string): void {
  const node = graph.nodes.find(({ domain }) => domain !== '' && domain !== 'ai.onnx');
  const outer = graph.nodes.find((candidate) => subgraphs(candidate).length > 0);
  const reason =
    (node && `node ${nodeLabel(node)} is ${node.domain}'s ${node.opType}`) ||
    (outer && `node ${nodeLabel(outer)} (${outer.opType}) has subgraphs`) ||
    (functions.length > 0 && 'it has functions of its own');
  if (!reason) return;
  throw new TierbedError('invalid', `${name} cannot be made to compute in float16: ${reason}`, {
    fix: 'Store its weights as float16 and compute in float32: `compute: float32`.',
  });
}

function isFloat({ type }: ValueInfo): boolean {
  return type.kind === 'tensor' && type.elemType === DATA_TYPE.float32;
}

function cast(input: string, output: string, to: number): Node {
  return {
    ...{ name: `${output}_cast`, opType: 'Cast', domain: '', inputs: [input], outputs: [output] },
    ...{ attributes: attributesOf({ to }), docString: '', overload: '', metadataProps: [] },
  };
}
