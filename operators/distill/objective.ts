import type { Value } from '../../onnx/build.js';
import type { Loss, LossContext } from '../../onnx/grad/training-graph.js';
import { scoresOf } from '../train/scores.js';
import type { Objective } from '../train/types.js';
import type { Answers } from './answers.js';
import { attentionDifference } from './losses/attention.js';
import { hiddenDifference } from './losses/hidden.js';
import { softenedDivergence } from './losses/softened.js';
import { squaredError } from './losses/squared-error.js';
import type { AttentionPairs, HiddenPair } from './terms.js';

/** What a student is taught. */
export interface Lessons {
  /** Scores of classes, or numbers. */
  readonly kind: 'classes' | 'numbers';
  /** The student's output, and the teacher's tensor that it is compared with: of classes, the scores before any Softmax. */
  readonly answer: { readonly student: string; readonly teacher: string };
  readonly temperature: number;
  /** The teacher's share, 0 to 1. */
  readonly alpha: number;
  readonly hidden: { readonly pairs: readonly HiddenPair[]; readonly weight: number };
  readonly attention: {
    readonly pairs: readonly AttentionPairs[];
    readonly weight: number;
    readonly loss: 'kl' | 'mse';
  };
  /** The student's input that is 1 where a token counts, int64 [N, T]. */
  readonly mask: string | undefined;
}

/** The teacher's tensors that the lessons are about, each once. */
export function teacherTensors({ alpha, answer, hidden, attention }: Lessons): readonly string[] {
  const inner = [...hidden.pairs, ...attention.pairs].map(({ teacher }) => teacher);
  return [...new Set([...(alpha > 0 ? [answer.teacher] : []), ...inner])];
}

/** Inputs of the training graph that hold what the teacher says, in the order of its tensors. */
const answerInput = (index: number): string => `distill.teacher.${index}`;

/**
 * The objective of a student: `alpha` times how far it is from the teacher's answers, the rest times how far from the
 * labels, and beside them, each with its weight, the mean over the pairs of the hidden-state and of the attention term.
 *
 * @param shapes of the teacher's tensors for one item, without the batch
 * @param labels the objective of the labels alone; undefined where `alpha` is 1
 * @param identity what the teacher is, for checkpoints
 */
export function distillObjective(
  lessons: Lessons,
  shapes: ReadonlyMap<string, readonly number[]>,
  answers: Answers,
  labels: Objective | undefined,
  identity: string,
): Objective {
  return {
    name: 'distillation',
    identity: JSON.stringify([identity, labels?.identity, { ...lessons, hidden: pairsAlone(lessons) }]),
    loss: lessonLoss(lessons, shapes, labels?.loss),
    async feeds(batch) {
      const taught = (await answers.of(batch)).map((tensor, i) => ({ name: answerInput(i), tensor }));
      return [...taught, ...((await labels?.feeds(batch)) ?? [])];
    },
  };
}

function pairsAlone({ hidden: { pairs, weight } }: Lessons) {
  return { weight, pairs: pairs.map(({ student, teacher }) => ({ student, teacher })) };
}

/** The loss alone, as `distillObjective` has it. */
export function lessonLoss(
  lessons: Lessons,
  shapes: ReadonlyMap<string, readonly number[]>,
  labels: Loss | undefined,
): Loss {
  return (at) => {
    const { builder: g } = at;
    const { alpha, hidden, attention, mask } = lessons;
    const taught = new Map(
      teacherTensors(lessons).map((tensor, index): [string, Value] => {
        const shape = [at.batch, ...(shapes.get(tensor) ?? [])];
        return [tensor, g.input(answerInput(index), 'float32', shape)];
      }),
    );
    const says = (tensor: string): Value => taught.get(tensor) as Value;
    const terms = [
      ...(alpha > 0 ? [g.node('Mul', [answerLoss(at, lessons, says(lessons.answer.teacher)), g.float32(alpha)])] : []),
      ...(labels && alpha < 1 ? [g.node('Mul', [labels(at), g.float32(1 - alpha)])] : []),
      ...meanTerm(at, hidden.weight, hidden.pairs, ({ student, teacher, projection }) =>
        hiddenDifference(at, student, says(teacher), projection, mask),
      ),
      ...meanTerm(at, attention.weight, attention.pairs, ({ student, teacher, scores, heads }) =>
        attentionDifference(at, { shares: student, scores, teacher: says(teacher), heads }, attention.loss, mask),
      ),
    ];
    return terms.reduce((sum, term) => g.node('Add', [sum, term]));
  };
}

function answerLoss(at: LossContext, { kind, answer, temperature }: Lessons, teacher: Value): Value {
  if (kind === 'numbers') return squaredError(at, answer.student, teacher);
  const { value, classes } = scoresOf(at, answer.student);
  const { builder: g } = at;
  const its = g.node('Reshape', [teacher, g.int64([at.batch, classes])]);
  return softenedDivergence(g, value, its, { rows: at.batch, temperature });
}

function meanTerm<P>(
  { builder: g }: LossContext,
  weight: number,
  pairs: readonly P[],
  loss: (pair: P) => Value,
): readonly Value[] {
  if (pairs.length === 0) return [];
  const sum = pairs.map(loss).reduce((total, one) => g.node('Add', [total, one]));
  return [g.node('Mul', [sum, g.float32(weight / pairs.length)])];
}
