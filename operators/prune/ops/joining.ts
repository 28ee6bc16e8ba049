import { axisOf } from '../../../onnx/shapes/context.js';
import type { AxisLabels } from '../coupling.js';
import { type PruneRule, type PruneRules, type ShrinkNode, sizeOf, withAttributes, withInput } from '../rule.js';
import type { TraceNode } from '../trace.js';

/** Labels of all inputs one behind the other along the axis; along the others they are coupled. */
const concat: PruneRule = {
  trace(at) {
    const shape = at.outputShape();
    if (!shape || at.node.inputs.some((_, input) => !at.shape(input))) return false;
    const along = axisOf(at.int('axis', 1), shape.length);
    const inputs = at.node.inputs.map((_, input) => input);
    at.give(
      shape.map((_, axis) =>
        axis === along ? behindEachOther(at, axis) : at.couple(inputs.map((input) => [input, axis] as const)),
      ),
    );
    return true;
  },
};

function behindEachOther(at: TraceNode, axis: number): AxisLabels | undefined {
  const parts = at.node.inputs.map((_, input) => at.axis(input, axis));
  if (parts.every((part) => !part)) return undefined;
  return concatenated(
    parts.map((part, input) => {
      if (part) return part;
      const still = at.coupling.fresh(at.shape(input)?.[axis] ?? 0);
      at.coupling.pin(still, `${at.label} takes them from ${at.name(input)}, which keeps its size`);
      return still;
    }),
  );
}

function concatenated(parts: readonly AxisLabels[]): AxisLabels {
  const all = new Int32Array(parts.reduce((total, { length }) => total + length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}

const split: PruneRule = {
  trace(at) {
    const shape = at.shape(0);
    if (!shape || at.node.outputs.some((_, output) => !at.outputShape(output))) return false;
    const along = axisOf(at.int('axis', 0), shape.length) ?? 0;
    const labels = at.axes(0);
    let start = 0;
    at.node.outputs.forEach((_, output) => {
      const size = at.outputShape(output)?.[along] ?? 0;
      const own = labels[along]?.subarray(start, start + size);
      // An axis of one index is never coupled with others: what would be left of it is nothing.
      if (own && size === 1) at.coupling.pin(own, `${at.label} takes one of them out`);
      at.give(
        labels.map((each, axis) => (axis === along ? (size === 1 ? undefined : own) : each)),
        output,
      );
      start += size;
    });
    return true;
  },
  shrink(at) {
    const x = at.node.inputs[0] as string;
    const axis = axisOf(Number(attributeOf(at, 'axis') ?? 0), at.before(x)?.length ?? 0) ?? 0;
    if (!at.kept(x, axis)) return at.node;
    const sizes = at.node.outputs.map((output) => sizeOf(at, output, axis));
    if (at.opset < 13) return withAttributes(at.node, { split: sizes });
    return withInput(withAttributes(at.node, { num_outputs: undefined }), 1, at.constant(sizes));
  },
};

function attributeOf({ node }: ShrinkNode, name: string): bigint | undefined {
  const value = node.attributes.find((each) => each.name === name)?.value;
  return value?.type === 'int' ? value.i : undefined;
}

/** What a Slice cuts out of an axis. */
interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

function cutsOf(
  starts: readonly number[] | undefined,
  ends: readonly number[] | undefined,
  axes: readonly number[] | undefined,
  steps: readonly number[] | undefined,
  shape: readonly number[],
): readonly Cut[] | undefined {
  return axes?.map((given, place) => {
    const axis = axisOf(given, shape.length) ?? 0;
    const [start, end] = [starts?.[place], ends?.[place]];
    // A step of 0 stands for what is not known.
    if (start === undefined || end === undefined || !steps) return { axis, start: 0, end: 0, step: 0 };
    const size = shape[axis] as number;
    const within = (index: number) => Math.min(Math.max(index < 0 ? index + size : index, 0), size);
    return { axis, start: within(start), end: within(end), step: steps[place] ?? 1 };
  });
}

/** A part of an axis, in steps of one; other axes pass. */
const slice: PruneRule = {
  trace(at) {
    const shape = at.shape(0);
    if (!shape || at.opset < 10) return false;
    const starts = at.integers(1);
    const count = at.shape(1)?.[0] ?? 0;
    const axes = at.has(3) ? at.integers(3) : Array.from({ length: count }, (_, i) => i);
    const steps = at.has(4) ? at.integers(4) : Array.from({ length: count }, () => 1);
    const cuts = cutsOf(starts, at.integers(2), axes, steps, shape);
    if (!cuts) return false;
    const labels: (AxisLabels | undefined)[] = shape.map((_, axis) =>
      cuts.some((cut) => cut.axis === axis) ? at.trace.labels.get(at.name(0))?.[axis] : at.axis(0, axis),
    );
    for (const cut of cuts) {
      const own = labels[cut.axis];
      const whole = cut.step === 1 && cut.start === 0 && cut.end === shape[cut.axis];
      if (cut.step === 1 && (whole || cut.end - cut.start > 1) && own) {
        labels[cut.axis] = own.subarray(cut.start, cut.end);
      } else {
        at.fix(0, cut.axis, `${at.label} takes a part of them`);
        labels[cut.axis] = undefined;
      }
    }
    at.give(labels);
    return true;
  },
  shrink(at) {
    const [x, startsName, endsName, axesName] = at.node.inputs as [string, string, string, string?];
    const shape = at.before(x) ?? [];
    const [starts, ends] = [at.integers(startsName), at.integers(endsName)];
    if (!starts || !ends) return at.node;
    const axes = axesName ? at.integers(axesName) : starts.map((_, i) => i);
    // Those that are labelled behind the node are cut in steps of one.
    const cuts =
      cutsOf(
        starts,
        ends,
        axes,
        axes?.map(() => 1),
        shape,
      ) ?? [];
    const [newStarts, newEnds] = [[...starts], [...ends]];
    let moved = false;
    cuts.forEach(({ axis, start, end }, place) => {
      const kept = at.kept(x, axis);
      if (!kept) return;
      newStarts[place] = kept.filter((index) => index < start).length;
      newEnds[place] = kept.filter((index) => index < end).length;
      moved = true;
    });
    if (!moved) return at.node;
    const withStarts = withInput(at.node, 1, at.constant(newStarts, startsName));
    return withInput(withStarts, 2, at.constant(newEnds, endsName));
  },
};

/** Indices that are constants choose among labels; indices that come with the data need every row. */
const gather: PruneRule = {
  trace(at) {
    const [shape, picked] = [at.shape(0), at.shape(1)];
    if (!shape || !picked) return false;
    const along = axisOf(at.int('axis', 0), shape.length) ?? 0;
    const indices = at.integers(1);
    const labels = shape.map((_, axis) => (axis === along && at.isWeight(0) ? undefined : at.axis(0, axis)));
    if (at.isWeight(0)) at.fix(0, along, `${at.label} looks up in them`);
    const own = labels[along];
    let chosen: AxisLabels | undefined;
    if (own) {
      if (!indices || picked.length > 1) at.coupling.pin(own, `${at.label} looks up in them`);
      else {
        chosen = Int32Array.from(indices, (index) => own[index < 0 ? index + own.length : index] as number);
        if (chosen.length === 1) at.coupling.pin(chosen, `${at.label} takes one of them out`);
      }
    }
    const middle = picked.map(() => (picked.length === 1 && chosen && chosen.length > 1 ? chosen : undefined));
    at.give([...labels.slice(0, along), ...middle, ...labels.slice(along + 1)]);
    return true;
  },
  shrink(at) {
    const [x, indicesName] = at.node.inputs as [string, string];
    const shape = at.before(x) ?? [];
    const axis = axisOf(Number(attributeOf(at, 'axis') ?? 0), shape.length) ?? 0;
    const kept = at.kept(x, axis);
    const indices = at.integers(indicesName);
    if (!kept || !indices) return at.node;
    const size = shape[axis] as number;
    const moved = indices.flatMap((index) => {
      const place = kept.indexOf(index < 0 ? index + size : index);
      return place < 0 ? [] : [place];
    });
    return withInput(at.node, 1, at.constant(moved, indicesName));
  },
};

/** Constant indices around an axis are indices of their own: they go with what they are joined to. */
const pad: PruneRule = {
  trace(at) {
    const shape = at.shape(0);
    const pads =
      shape && padsOf(shape.length, at.ints('pads') ?? at.integers(1), at.has(3) ? at.integers(3) : undefined);
    if (!shape || !pads || (at.has(3) && !at.integers(3))) return false;
    const labels = at.axes(0).map((own, axis) => {
      const [before, after] = pads[axis] as readonly [number, number];
      if (!own || (before === 0 && after === 0)) return own;
      if (before < 0 || after < 0 || at.text('mode', 'constant') !== 'constant') {
        at.fix(0, axis, `${at.label} pads them with their own`);
        return undefined;
      }
      return concatenated([at.coupling.fresh(before), own, at.coupling.fresh(after)]);
    });
    at.give(labels);
    return true;
  },
  shrink(at) {
    const [x, padsName, , axesName] = at.node.inputs as [string, string?, string?, string?];
    const out = at.node.outputs[0] as string;
    const rank = at.before(x)?.length ?? 0;
    const attribute = at.node.attributes.find(({ name }) => name === 'pads')?.value;
    const given = attribute?.type === 'ints' ? attribute.ints.map(Number) : at.integers(padsName);
    const axes = axesName ? at.integers(axesName) : undefined;
    const pads = padsOf(rank, given, axes);
    if (!given || !pads) return at.node;
    const moved = [...given];
    let changed = false;
    (axes ?? pads.map((_, axis) => axis)).forEach((which, place) => {
      const axis = axisOf(which, rank) ?? 0;
      const kept = at.kept(out, axis);
      const [before, after] = pads[axis] as readonly [number, number];
      if (!kept || (before === 0 && after === 0)) return;
      const end = before + (at.before(x)?.[axis] ?? 0);
      moved[place] = kept.filter((index) => index < before).length;
      moved[place + moved.length / 2] = kept.filter((index) => index >= end).length;
      changed = true;
    });
    if (!changed) return at.node;
    return attribute ? withAttributes(at.node, { pads: moved }) : withInput(at.node, 1, at.constant(moved, padsName));
  },
};

/** Pads in front of and behind each axis. */
function padsOf(
  rank: number,
  pads: readonly number[] | undefined,
  axes: readonly number[] | undefined,
): readonly (readonly [number, number])[] | undefined {
  if (!pads) return undefined;
  const all = Array.from({ length: rank }, (): readonly [number, number] => [0, 0]);
  const listed = axes ?? all.map((_, axis) => axis);
  listed.forEach((which, place) => {
    all[axisOf(which, rank) ?? 0] = [pads[place] ?? 0, pads[place + listed.length] ?? 0];
  });
  return all;
}

/** Copies along axes of one index; the others pass, and the size asked of them becomes 1, which leaves them as they are. */
const expand: PruneRule = {
  trace(at) {
    const [shape, out] = [at.shape(0), at.outputShape()];
    if (!shape || !out || !at.integers(1)) return false;
    const labels = at.axes(0);
    at.give(out.map((_, axis) => labels[axis - out.length + shape.length]));
    return true;
  },
  shrink(at) {
    const out = at.node.outputs[0] as string;
    const target = at.integers(at.node.inputs[1]);
    const rank = at.before(out)?.length ?? 0;
    if (!target?.some((_, i) => at.kept(out, i + rank - target.length))) return at.node;
    return withInput(
      at.node,
      1,
      at.constant(target.map((size, i) => (at.kept(out, i + rank - target.length) ? 1 : size))),
    );
  },
};

/** Copies whole axes: those that are repeated keep their size. */
const tile: PruneRule = {
  trace(at) {
    const repeats = at.integers(1);
    if (!at.shape(0) || !repeats) return false;
    const labels = at.axes(0).map((own, axis) => {
      if (!own || repeats[axis] === 1) return own;
      at.fix(0, axis, `${at.label} repeats them`);
      return undefined;
    });
    at.give(labels);
    return true;
  },
};

/** Enlarges some axes; the others pass. */
const resize: PruneRule = {
  trace(at) {
    const [shape, out] = [at.shape(0), at.outputShape()];
    const asked = at.has(3) ? at.integers(3) : [];
    if (!shape || !out || !asked || at.ints('axes')) return false;
    const labels = at.axes(0).map((own, axis) => {
      if (!own || shape[axis] === out[axis]) return own;
      at.fix(0, axis, `${at.label} resizes them`);
      return undefined;
    });
    at.give(labels);
    return true;
  },
  shrink(at) {
    const [x, , , sizesName] = at.node.inputs as [string, string?, string?, string?];
    const sizes = sizesName ? at.integers(sizesName) : undefined;
    if (!sizes?.some((_, axis) => at.kept(x, axis))) return at.node;
    return withInput(
      at.node,
      3,
      at.constant(
        sizes.map((size, axis) => at.kept(x, axis)?.length ?? size),
        sizesName,
      ),
    );
  },
};

/** Operators that work shapes out. */
const ARITHMETIC = new Set([
  ...['Gather', 'Concat', 'Unsqueeze', 'Squeeze', 'Slice', 'Cast', 'Identity', 'Reshape', 'Shape'],
  ...['Add', 'Sub', 'Mul', 'Div', 'ReduceProd', 'Equal', 'Where', 'ConstantOfShape', 'Range'],
]);

/**
 * The size of a tensor, as numbers of the graph: fine where it ends up as the target of a Reshape, which is written anew,
 * or where the axes that are asked for are no labelled ones.
 */
const shape: PruneRule = {
  trace(at) {
    const rank = at.shape(0)?.length;
    if (rank === undefined) return false;
    const [start, end] = [at.int('start', 0), at.int('end', rank)].map((axis) => (axis < 0 ? axis + rank : axis)) as [
      number,
      number,
    ];
    if (endsInReshape(at, at.node.outputs[0] as string, new Set())) return true;
    for (let axis = start; axis < Math.min(end, rank); axis++) at.fix(0, axis, `${at.label} counts them`);
    return true;
  },
};

/** Whether all that is made of a shape is the target of a Reshape at last. */
function endsInReshape(at: TraceNode, tensor: string, seen: Set<string>): boolean {
  if (seen.has(tensor)) return true;
  seen.add(tensor);
  const { graph, consumers } = at.trace.index;
  if (graph.outputs.some(({ name }) => name === tensor)) return false;
  return (consumers.get(tensor) ?? []).every((position) => {
    const node = graph.nodes[position];
    if (node?.opType === 'Reshape' && node.inputs[1] === tensor && node.inputs[0] !== tensor) return true;
    return (
      node !== undefined && ARITHMETIC.has(node.opType) && node.outputs.every((out) => endsInReshape(at, out, seen))
    );
  });
}

export const joiningRules: PruneRules = {
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  Pad: pad,
  Expand: expand,
  Tile: tile,
  Resize: resize,
  Shape: shape,
};
