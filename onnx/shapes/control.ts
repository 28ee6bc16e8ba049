import type { Dim } from '../model.js';
import { axisOf, type Known, type Rule, type Rules, UNKNOWN, unknownDims } from './context.js';
import { eitherDim } from './dims.js';

/** What is true of a tensor that is either of two. */
function either(a: Known, b: Known): Known {
  const dtype = a.dtype === b.dtype ? a.dtype : undefined;
  if (!a.shape || !b.shape || a.shape.length !== b.shape.length) return { dtype, shape: undefined };
  return { dtype, shape: a.shape.map((dim, i) => eitherDim(dim, b.shape?.[i])) };
}

function sameType(a: Known, b: Known): boolean {
  if (a.dtype !== b.dtype || a.shape?.length !== b.shape?.length) return false;
  return (a.shape ?? []).every((dim, i) => dim === b.shape?.[i]);
}

function typeOf({ dtype, shape }: Known): Known {
  return { dtype, shape };
}

const conditional: Rule = (c) => {
  const [yes, no] = [c.graph('then_branch'), c.graph('else_branch')];
  if (!yes || !no) return [];
  // Both are inferred even when the condition is known, so that the tensors of both have types.
  const results = [c.inferGraph(no, []), c.inferGraph(yes, [])] as const;
  const condition = c.value(0)?.[0];
  if (condition === 0 || condition === 1) return results[condition];
  return results[0].map((output, i) => either(output, results[1][i] ?? UNKNOWN));
};

/** Infers a body whose states may change shape from one turn to the next: repeated until nothing more is unlearnt. */
function settle(states: readonly Known[], body: (states: readonly Known[]) => readonly Known[]) {
  let current = states.map(typeOf);
  for (;;) {
    const outputs = body(current);
    const next = current.map((state, i) => either(state, outputs[i] ?? UNKNOWN));
    if (next.every((state, i) => sameType(state, current[i] as Known))) return { states: current, outputs };
    current = next;
  }
}

/** Body inputs: turn, condition, states. Body outputs: condition, states, scanned. */
const loop: Rule = (c) => {
  const body = c.graph('body');
  if (!body) return [];
  const count = body.inputs.length - 2;
  const initial = Array.from({ length: count }, (_, i) => c.input(i + 2));
  const [turn, condition] = body.inputs.map(({ type }): Known => {
    return { dtype: type.kind === 'tensor' ? type.elemType : undefined, shape: [] };
  }) as [Known, Known];
  const { states, outputs } = settle(initial, (current) => c.inferGraph(body, [turn, condition, ...current]).slice(1));
  const scanned = outputs.slice(count).map(({ dtype, shape }) => ({ dtype, shape: shape && [undefined, ...shape] }));
  return [...states, ...scanned];
};

/** Body inputs: states, slices. Body outputs: states, slices of the results. Before opset 9 there was a batch axis too. */
const scan: Rule = (c) => {
  const body = c.graph('body');
  const scanned = c.int('num_scan_inputs', 0);
  if (!body || c.opset < 9) return [];
  const count = c.inputCount - scanned;
  const initial = Array.from({ length: count }, (_, i) => c.input(i));
  const axes = c.ints('scan_input_axes') ?? [];
  let length: Dim;
  const slices = Array.from({ length: scanned }, (_, i): Known => {
    const { dtype, shape } = c.input(count + i);
    const axis = shape && axisOf(axes[i] ?? 0, shape.length);
    if (!shape || axis === undefined) return { dtype, shape: undefined };
    length ??= shape[axis];
    return { dtype, shape: shape.filter((_, at) => at !== axis) };
  });
  const { states, outputs } = settle(initial, (current) => c.inferGraph(body, [...current, ...slices]));
  const outputAxes = c.ints('scan_output_axes') ?? [];
  const results = outputs.slice(count).map(({ dtype, shape }, i): Known => {
    const axis = shape && axisOf(outputAxes[i] ?? 0, shape.length + 1);
    if (!shape || axis === undefined) return { dtype, shape: undefined };
    const result = unknownDims(shape.length + 1);
    for (let at = 0; at < result.length; at++) result[at] = at === axis ? length : shape[at < axis ? at : at - 1];
    return { dtype, shape: result };
  });
  return [...states, ...results];
};

/** Operators with subgraphs. */
export const controlRules: Rules = { If: conditional, Loop: loop, Scan: scan };
