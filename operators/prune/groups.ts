import { GraphIndex } from '../../onnx/graph.js';
import { inferValues, type TensorType } from '../../onnx/infer.js';
import { givenInputs, symbolOf } from '../../onnx/inspect.js';
import type { Model, ValueInfo } from '../../onnx/model.js';
import { prepareModel } from '../../onnx/passes/index.js';
import { CONSTANTS_FIRST } from './constants-first.js';
import type { Reason } from './coupling.js';
import { pruneRule } from './ops/index.js';
import { Trace, TraceNode } from './trace.js';

/** An axis of a weight that loses indices together with others. */
export interface CoupledAxis {
  /** Name of the initializer. */
  readonly tensor: string;
  readonly axis: number;
  readonly size: number;
}

/** What is removed as a whole: a channel, a neuron, a head. */
export interface PruningUnit {
  /** What it is known by in its grouping. */
  readonly id: number;
  /** By axis of its group, in the group's order: the indices that go. */
  readonly indices: readonly (readonly number[])[];
}

/**
 * `heads`: parts of an axis that was split, as the heads of an attention. `features`: what a normalisation takes its
 * statistics over. `channels` of convolutions, and `neurons` of linear layers.
 */
export type GroupKind = 'channels' | 'neurons' | 'heads' | 'features';

/** Units that are of one kind: each takes indices out of the same axes, and none is coupled with another. */
export interface PruningGroup {
  /** The node whose weight the first of its axes is. */
  readonly name: string;
  readonly kind: GroupKind;
  readonly axes: readonly CoupledAxis[];
  readonly units: readonly PruningUnit[];
  /** What removing a unit changes besides taking it out, so that it is more than setting its weights to zero. */
  readonly changes?: Reason;
}

/** Indices of weights that cannot be removed. */
export interface StayingGroup {
  readonly name: string;
  readonly axes: readonly CoupledAxis[];
  readonly units: number;
  readonly reason: Reason;
}

/** What can be removed from a model. */
export interface Grouping {
  /** The model that the groups are of: the one that was given, its constants worked out. */
  readonly model: Model;
  readonly groups: readonly PruningGroup[];
  readonly stays: readonly StayingGroup[];
  /** By tensor and axis: the unit of each index, or -1. Of activations too. */
  readonly units: ReadonlyMap<string, readonly (Int32Array | undefined)[]>;
  /** Shapes with numbers for all symbols, for one made-up size of each. */
  readonly shapes: ReadonlyMap<string, TensorType>;
  /** Shapes with symbols. */
  readonly symbolic: ReadonlyMap<string, TensorType>;
}

/** What every symbol of an input's shape stands for while labels are followed: sizes that no other axis is likely to have. */
const SIZES = [7, 11, 13, 17, 19, 23, 29, 31];

/** As often as there may be axes that one is split into. */
const ATTEMPTS = 4;

/**
 * Finds what can be removed from a model as a whole: which indices of which axes of which weights go together, so that all
 * shapes still fit. The idea is DepGraph's (Fang et al., CVPR 2023, arXiv:2301.12900). Here, each index along an axis of a
 * weight has a label; labels are followed through the graph, and joined where two axes must keep the same indices: where
 * tensors are added, where a convolution takes what another gives, where axes are split, put together and moved.
 *
 * @throws TierbedError `invalid` as `inferValues`
 */
export async function pruningGroups(given: Model): Promise<Grouping> {
  const { model } = await prepareModel(given, CONSTANTS_FIRST);
  const index = new GraphIndex(model.graph);
  const symbolic = await inferValues(model);
  const shapes = await inferValues(withSizes(model));
  const trace = follow(model, index, shapes, symbolic);
  return { model, ...collect(trace), symbolic, shapes };
}

/** A model whose free dimensions have sizes. */
function withSizes(model: Model): Model {
  const own = new Set(givenInputs(model));
  const sizes = new Map<number | string, number>();
  const inputs = model.graph.inputs.map((info): ValueInfo => {
    if (!own.has(info) || info.type.kind !== 'tensor' || !info.type.shape) return info;
    const shape = info.type.shape.map((dim, axis) => {
      if (typeof dim === 'number') return dim;
      const symbol = symbolOf(info, dim, axis);
      if (!sizes.has(symbol)) sizes.set(symbol, SIZES[sizes.size % SIZES.length] as number);
      return sizes.get(symbol) as number;
    });
    return { ...info, type: { ...info.type, shape } };
  });
  return { ...model, graph: { ...model.graph, inputs } };
}

type Shapes = ReadonlyMap<string, TensorType>;

/** Follows labels through the model; where the axis that was to carry them when one is split cannot, the next is tried. */
function follow(model: Model, index: GraphIndex, shapes: Shapes, symbolic: Shapes): Trace {
  let carriers = new Map<number, number>();
  let trace = followOnce(model, index, shapes, symbolic, carriers);
  for (let attempt = 1; attempt < ATTEMPTS; attempt++) {
    const next = new Map(carriers);
    for (const [position, { choices, labels }] of trace.splits) {
      const choice = carriers.get(position) ?? 0;
      const stuck = labels.every((label) => trace.coupling.pinnedBy(label) !== undefined);
      if (stuck && choice + 1 < choices) next.set(position, choice + 1);
    }
    if ([...next].every(([position, choice]) => carriers.get(position) === choice)) break;
    const tried = followOnce(model, index, shapes, symbolic, next);
    carriers = next;
    trace = tried;
  }
  return trace;
}

function followOnce(
  model: Model,
  index: GraphIndex,
  shapes: Shapes,
  symbolic: Shapes,
  carriers: ReadonlyMap<number, number>,
): Trace {
  const trace = new Trace(model, index, shapes, symbolic, carriers);
  for (const position of index.order) {
    const at = new TraceNode(trace, position);
    const rule = pruneRule(at.node);
    if (rule?.trace(at) === true) continue;
    at.fixAll(rule ? `${at.label} could not be followed` : `${at.label} is of a type that is not followed`);
  }
  for (const { name } of model.graph.outputs) {
    const rank = trace.labels.get(name)?.length ?? 0;
    for (let axis = 0; axis < rank; axis++) trace.fix(name, axis, `they are the model's output ${name}`);
  }
  return trace;
}

/** An axis with labels, and where it stands among those that a unit takes indices out of. */
type Places = Map<string, { readonly axis: CoupledAxis; readonly indices: number[] }>;

/** Puts together what was joined. */
function collect(trace: Trace): Pick<Grouping, 'groups' | 'stays' | 'units'> {
  const { coupling } = trace;
  const byRoot = new Map<number, Places>();
  for (const { name, dims } of trace.model.graph.initializers) {
    trace.labels.get(name)?.forEach((labels, axis) => {
      labels?.forEach((label, i) => {
        const root = coupling.find(label);
        const places = byRoot.get(root) ?? new Map();
        byRoot.set(root, places);
        const key = `${name} ${axis}`;
        const place = places.get(key);
        if (place) place.indices.push(i);
        else places.set(key, { axis: { tensor: name, axis, size: dims[axis] as number }, indices: [i] });
      });
    });
  }
  const among = tensorsOf(trace);
  const groups = new Map<string, { first: number; axes: CoupledAxis[]; units: PruningUnit[]; changes?: Reason }>();
  const stays = new Map<string, { name: string; axes: CoupledAxis[]; units: number; reason: Reason }>();
  for (const [root, places] of [...byRoot].sort((a, b) => a[0] - b[0])) {
    const list = [...places.values()].sort((a, b) => order(trace, a.axis) - order(trace, b.axis));
    const axes = list.map(({ axis }) => axis);
    const key = among.get(root) as string;
    const pinned = coupling.pinnedBy(root);
    if (pinned !== undefined) {
      const group = stays.get(`${key}\n${pinned}`);
      if (group) group.units++;
      else stays.set(`${key}\n${pinned}`, { name: nameOf(trace, axes), axes, units: 1, reason: pinned });
      continue;
    }
    const unit = { id: root, indices: list.map(({ indices }) => indices) };
    const changes = coupling.effectOf(root);
    const group = groups.get(key);
    if (group) group.units.push(unit);
    else groups.set(key, { first: root, axes, units: [unit], ...(changes !== undefined && { changes }) });
  }
  const free = new Set([...groups.values()].flatMap(({ units }) => units.map(({ id }) => id)));
  return {
    groups: [...groups.values()].map(({ first, axes, units, changes }) => ({
      ...{ name: nameOf(trace, axes), kind: kindOf(trace, axes, first, changes), axes, units },
      ...(changes !== undefined && { changes }),
    })),
    stays: [...stays.values()],
    units: unitsOf(trace, free),
  };
}

/**
 * By unit, every axis of a tensor that it takes indices out of. Units of a group have them in common, activations too: so
 * no axis is left empty while each group has a unit left.
 */
function tensorsOf({ labels, coupling }: Trace): ReadonlyMap<number, string> {
  const among = new Map<number, string>();
  let axes = 0;
  for (const all of labels.values()) {
    all.forEach((own) => {
      axes++;
      for (const root of new Set(own?.map((label) => coupling.find(label)))) {
        among.set(root, `${among.get(root) ?? ''} ${axes}`);
      }
    });
  }
  return among;
}

/** Axes in the order in which nodes ask for them. */
function order(trace: Trace, { tensor, axis }: CoupledAxis): number {
  return trace.labels.get(tensor)?.[axis]?.[0] ?? 0;
}

function nameOf(trace: Trace, axes: readonly CoupledAxis[]): string {
  const [first] = axes;
  const node = first && trace.origin(first.tensor, first.axis);
  return node ? node.name || (node.outputs[0] as string) : (first?.tensor ?? '');
}

function kindOf(trace: Trace, axes: readonly CoupledAxis[], label: number, changes: Reason | undefined): GroupKind {
  if (changes !== undefined) return 'features';
  if (trace.coupling.isHead(label)) return 'heads';
  const ranks = axes.map(({ tensor }) => trace.shape(tensor)?.length ?? 0);
  return ranks.some((rank) => rank > 2) ? 'channels' : 'neurons';
}

function unitsOf(trace: Trace, free: ReadonlySet<number>): Grouping['units'] {
  const units = new Map<string, readonly (Int32Array | undefined)[]>();
  for (const [tensor, all] of trace.labels) {
    const own = Array.from(all, (labels) => {
      const ids = labels?.map((label) => {
        const root = trace.coupling.find(label);
        return free.has(root) ? root : -1;
      });
      return ids?.some((id) => id >= 0) ? ids : undefined;
    });
    if (own.some((each) => each)) units.set(tensor, own);
  }
  return units;
}
