import type { PruneRule, PruneRules } from '../rule.js';
import type { TraceNode } from '../trace.js';

/** Nodes that work on each element by itself: their first input has the shape of their output. */
const UNARY = [
  ...['Relu', 'LeakyRelu', 'Elu', 'Selu', 'Celu', 'ThresholdedRelu', 'HardSwish', 'HardSigmoid', 'Sigmoid', 'Tanh'],
  ...['Softplus', 'Softsign', 'Mish', 'Swish', 'Gelu', 'Erf', 'Exp', 'Log', 'Sqrt', 'Reciprocal', 'Neg', 'Abs', 'Sign'],
  ...['Floor', 'Ceil', 'Round', 'Sin', 'Cos', 'Clip', 'Cast', 'Identity', 'Dropout', 'Not', 'IsNaN', 'IsInf', 'Shrink'],
];

/** Nodes whose inputs are broadcast against each other. */
const BROADCAST = [
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Mod', 'Min', 'Max', 'Sum', 'Mean', 'PRelu', 'Where'],
  ...['And', 'Or', 'Xor', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'],
];

const unary: PruneRule = {
  trace(at) {
    const shape = at.shape(0);
    if (!shape || at.outputShape()?.length !== shape.length) return false;
    const labels = at.axes(0);
    for (const output of at.node.outputs.keys()) at.give(labels, output);
    return true;
  },
};

const broadcast: PruneRule = {
  trace(at) {
    const out = at.outputShape();
    if (!out || at.node.inputs.some((_, input) => at.has(input) && !at.shape(input))) return false;
    at.give(out.map((_, axis) => at.couple(aligned(at, axis - out.length))));
    return true;
  },
};

/** The inputs that have an axis, counted from the end. */
function aligned(at: TraceNode, axis: number): (readonly [number, number])[] {
  return at.node.inputs.flatMap((_, input): (readonly [number, number])[] =>
    (at.shape(input)?.length ?? 0) >= -axis ? [[input, axis]] : [],
  );
}

export const elementwiseRules: PruneRules = {
  ...Object.fromEntries(UNARY.map((type) => [type, unary])),
  ...Object.fromEntries(BROADCAST.map((type) => [type, broadcast])),
};
