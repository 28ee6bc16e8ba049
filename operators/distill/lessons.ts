import { givenInputs } from '../../onnx/inspect.js';
import { DATA_TYPE, type Model } from '../../onnx/model.js';
import type { Shaped } from './match.js';
import type { Lessons } from './objective.js';
import type { LessonOptions } from './options.js';
import type { Answer } from './plan.js';
import { scoresOf } from './scores.js';
import { attentionPairs, hiddenPairs } from './terms.js';

/**
 * What a student is to be taught, by its options.
 *
 * @param seed of what maps widths onto each other
 * @throws TierbedError `invalid` when tensors that are named are not there, or cannot be compared
 */
export function lessonsOf(
  { temperature = 4, alpha = 0.9, hidden, attention }: LessonOptions,
  { kind, output }: Answer,
  student: Shaped,
  teacher: Shaped,
  seed = 1,
): Lessons {
  return {
    ...{ kind, temperature, alpha, mask: maskOf(student.model) },
    answer: { student: output, teacher: kind === 'classes' ? scoresOf(teacher.model, output) : output },
    hidden: {
      pairs: hidden ? hiddenPairs(hidden, student, teacher, seed) : [],
      weight: hidden?.weight ?? 1,
    },
    attention: {
      pairs: attention ? attentionPairs(attention, student, teacher) : [],
      weight: attention?.weight ?? 1,
      loss: attention?.loss ?? 'kl',
    },
  };
}

/** BERT's name for the input that says which tokens are padding, where the model has it. */
function maskOf(model: Model): string | undefined {
  const found = givenInputs(model).find(
    ({ name, type }) => name === 'attention_mask' && type.kind === 'tensor' && type.elemType === DATA_TYPE.int64,
  );
  return found?.name;
}

/** For the manifest. */
export function lessonFacts({ temperature, alpha, hidden, attention }: Lessons) {
  const facts = ({ pairs, weight }: Lessons['hidden'] | Lessons['attention']) => ({
    weight,
    pairs: pairs.map(({ student, teacher }) => ({ student, teacher })),
  });
  return {
    ...{ temperature, alpha },
    ...(hidden.pairs.length > 0 && { hidden: facts(hidden) }),
    ...(attention.pairs.length > 0 && { attention: { loss: attention.loss, ...facts(attention) } }),
  };
}
