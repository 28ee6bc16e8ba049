import { intAttr, stringAttr } from '../attribute.js';
import type { Value } from '../build.js';
import { DATA_TYPE } from '../model.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';
import { logSoftmaxGradient } from './softmax.js';

/**
 * Y = -weight[label] * X[label] for every item and place, summed up or their mean by weight (onnx Operators.md): labels
 * and their weights have no gradient.
 */
export const negativeLogLikelihoodLoss: GradRule = {
  opTypes: ['NegativeLogLikelihoodLoss'],
  gradient: (at) => [labelGradient(at, at.dY)],
};

/** The same of the logarithms of Softmax, which are a second output. */
export const softmaxCrossEntropyLoss: GradRule = {
  opTypes: ['SoftmaxCrossEntropyLoss'],
  gradient(at) {
    const [ofLoss, ofLogarithms] = [at.outputGradient(0), at.outputGradient(1)];
    const parts = [ofLoss === undefined ? undefined : labelGradient(at, ofLoss), ofLogarithms];
    const given = parts.filter((part) => part !== undefined);
    const byLogarithms = given.reduce((sum, part) => at.emit('Add', [sum, part]));
    return [logSoftmaxGradient(at, byLogarithms, at.emit('Softmax', [at.input(0)], { axis: 1 }), 1)];
  },
};

/** The gradient by the logarithms of probabilities, [N, classes, places]: none but at the labels. */
function labelGradient(at: GradNode, dY: Value): Value {
  const classes = at.inputShape(0)[1] as number;
  const reduction = stringAttr(at.node, 'reduction') ?? 'mean';
  const ignored = intAttr(at.node, 'ignore_index');
  if (at.wants(2)) throw at.error('weights of classes have no gradient', 'Freeze them.');
  const labels = at.emit('Cast', [at.input(1)], { to: DATA_TYPE.int64 });
  const counts = ignored === undefined ? undefined : isOther(at, labels, ignored);
  // 0 is a class, in place of a number that may be none.
  const known =
    counts === undefined ? labels : at.emit('Mul', [labels, at.emit('Cast', [counts], { to: DATA_TYPE.int64 })]);
  const weight = weightOf(at, known, counts);
  const negative = at.emit('Neg', [reduction === 'mean' ? at.emit('Div', [dY, totalOf(at, weight)]) : dY]);
  const share = weight === undefined ? negative : at.emit('Mul', [negative, weight]);
  const values = at.builder.float32([0, 1]);
  const hot = at.emit('OneHot', [known, at.builder.int64([classes]), values], { axis: 1 });
  return at.emit('Mul', [hot, reduction !== 'none' && weight === undefined ? share : overClasses(at, share)]);
}

function isOther(at: GradNode, labels: Value, ignored: number): Value {
  const same = at.emit('Equal', [labels, at.builder.int64(ignored)]);
  return at.emit('Cast', [at.emit('Not', [same])], { to: DATA_TYPE.float32 });
}

/** What each label counts; undefined: all count 1. */
function weightOf(at: GradNode, labels: Value, counts: Value | undefined): Value | undefined {
  if (!at.has(2)) return counts;
  const weight = at.emit('Gather', [at.input(2), labels]);
  return counts === undefined ? weight : at.emit('Mul', [weight, counts]);
}

function totalOf(at: GradNode, weight: Value | undefined): Value {
  const places = at.inputShape(1);
  if (weight === undefined) return at.scalar(places.reduce((product, size) => product * size, 1));
  return at.sum(
    weight,
    places.map((_, axis) => axis),
  );
}

function overClasses(at: GradNode, byLabel: Value): Value {
  return at.emit('Unsqueeze', [byLabel, at.builder.int64([1])]);
}
