import { TierbedError } from '../base/errors.js';
import type { NamedTensor } from '../onnx/tensor.js';
import { elementReader } from './elements.js';

/** What a rule looks at in one row of scores, as probabilities. */
export const CONFIDENCES = {
  /** The largest probability. */
  'max-probability': (probabilities: Float64Array): number => Math.max(...probabilities),
  /** The largest less the second largest. */
  margin: (probabilities: Float64Array): number => {
    const [first = 0, second = 0] = probabilities.toSorted((a, b) => b - a);
    return first - second;
  },
  /** 1 less the entropy as a share of the largest that there can be (BranchyNet, arXiv:1709.01686, asks for low entropy). */
  entropy: (probabilities: Float64Array): number => {
    const entropy = probabilities.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0);
    return 1 - entropy / Math.log(Math.max(2, probabilities.length));
  },
} as const;

export type ConfidenceName = keyof typeof CONFIDENCES;

/** When a request ends at an exit. Plain data: it travels to the node that holds the exit as JSON. */
export interface ExitRule {
  /** The stage's output that has the exit's scores, one row: logits. */
  readonly scores: string;
  /** The name that the model's own scores have: under it the exit answers. */
  readonly answer: string;
  readonly confidence: ConfidenceName;
  /** It answers when its confidence, 0 to 1, is at least this. */
  readonly threshold: number;
}

/**
 * How sure an exit is of one row of logits, 0 to 1; NaN when one of them is not finite, or there are several rows.
 *
 * @throws TierbedError `invalid` when the scores are missing or are not numbers
 */
export function confidenceOf(rule: Pick<ExitRule, 'scores' | 'confidence'>, outputs: readonly NamedTensor[]): number {
  const tensor = outputs.find(({ name }) => name === rule.scores)?.tensor;
  if (!tensor || tensor.dtype === 'string') {
    throw new TierbedError('invalid', `the stage gave no scores '${rule.scores}' for its exit`);
  }
  const { count, at } = elementReader(tensor);
  // One answer cannot be for several items: a batch goes on.
  if (count !== tensor.shape.at(-1)) return Number.NaN;
  const logits = Float64Array.from({ length: count }, (_, i) => at(i));
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  // A score that is no number, or infinite, leaves nothing to be sure of.
  if (!Number.isFinite(sum)) return Number.NaN;
  return CONFIDENCES[rule.confidence](exponentials.map((e) => e / sum));
}

/**
 * The answer of an exit that is sure enough, named as the model's own; undefined when it is not, and the request goes on.
 *
 * @throws TierbedError as `confidenceOf`
 */
export function exitAnswer(rule: ExitRule, outputs: readonly NamedTensor[]): readonly NamedTensor[] | undefined {
  // Written so that a confidence that is no number goes on.
  if (!(confidenceOf(rule, outputs) >= rule.threshold)) return undefined;
  const scores = outputs.find(({ name }) => name === rule.scores) as NamedTensor;
  return [{ name: rule.answer, tensor: scores.tensor }];
}
