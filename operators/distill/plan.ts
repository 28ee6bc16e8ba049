import { TierbedError } from '../../base/errors.js';
import type { Workload } from '../../workloads/types.js';
import type { TrainSettings } from '../train/types.js';
import type { Variant } from '../variant.js';
import type { DistillOptions, LessonOptions, Student } from './options.js';

/** What a model is asked for. */
export interface Answer {
  readonly kind: 'classes' | 'numbers';
  readonly output: string;
}

/** @throws TierbedError `invalid` for a workload whose answers a student cannot be taught */
export function answerOf({ name, postprocess }: Workload): Answer {
  if (postprocess.kind === 'argmax') return { kind: 'classes', output: postprocess.output };
  if (postprocess.kind === 'numbers') return { kind: 'numbers', output: postprocess.output };
  throw new TierbedError(
    'invalid',
    `distill teaches scores of classes, or numbers, and ${name} has the postprocessing '${postprocess.kind}'`,
    { fix: 'Give the workload `postprocess: { kind: argmax, output: NAME }`.' },
  );
}

/** @throws TierbedError `invalid` when the student would learn nothing of its teacher */
export function refuseSilence({ alpha = 0.9, hidden, attention }: LessonOptions): void {
  if (alpha > 0 || hidden || attention) return;
  throw new TierbedError('invalid', 'distill.alpha is 0, and nothing else is learned from the teacher', {
    fix: 'Set `alpha` above 0, or compare tensors with `hidden` or `attention`; or train without a teacher.',
  });
}

/** @throws TierbedError `invalid` for options that would have no effect beside the others */
export function refuseUnused(
  { alpha = 0.9, temperature, labels = true, teacherSees, cacheMB }: LessonOptions,
  train: TrainSettings = {},
): void {
  const refused = (message: string, fix: string) => new TierbedError('invalid', `distill.${message}`, { fix });
  if (temperature !== undefined && alpha === 0) {
    throw refused(
      "temperature softens the teacher's scores, and with `alpha: 0` they are not listened to",
      'Leave `temperature` out, or set `alpha` above 0.',
    );
  }
  if (train.labelSmoothing && (alpha === 1 || !labels)) {
    const why = labels ? 'alpha: 1' : 'labels: false';
    throw refused(
      `train.labelSmoothing is for the labels, and with \`${why}\` they are not looked at`,
      'Leave `labelSmoothing` out, or let the labels have a share.',
    );
  }
  if (cacheMB !== undefined && teacherSees === 'batch') {
    throw refused(
      'cacheMB is for what the teacher says of items, and with `teacherSees: batch` nothing is kept',
      'Leave `cacheMB` out.',
    );
  }
}

/** @throws TierbedError `invalid` when a student would begin as its teacher, which it was made of */
export function refuseUndone({ student, init }: DistillOptions): void {
  if (init !== 'teacher' || student !== 'self') return;
  throw new TierbedError(
    'invalid',
    'distill.init: with `student: self`, weights of the teacher would put back what was taken out',
    { fix: 'Leave `init` out: the student begins as it is.' },
  );
}

/** @throws TierbedError `invalid` for a temperature where there are no scores that it could soften */
export function refuseTemperature({ kind }: Answer, { temperature }: LessonOptions, { name }: Workload): void {
  if (kind === 'classes' || temperature === undefined) return;
  throw new TierbedError('invalid', `distill.temperature softens scores of classes, and ${name} has numbers`, {
    fix: 'Leave `temperature` out.',
  });
}

/** @throws TierbedError `invalid` when a model would be its own teacher */
export function refuseItself(student: Student, variant: Variant, original: string): void {
  if (student.kind !== 'self' || variant.stages[0]?.files[0]?.sha256 !== original) return;
  throw new TierbedError('invalid', `distill: ${variant.name} would be its own teacher: nothing was taken out of it`, {
    fix: 'Put `student: self` behind an operator such as prune, or name another student.',
  });
}

/** Augmentations that move things: what a teacher saw at a place is elsewhere then. */
const MOVING = new Set(['crop', 'flip', 'shift']);

/**
 * Refuses terms that would compare a moved picture's tensors with those of the picture as it was.
 *
 * @throws TierbedError `invalid`
 */
export function refuseAugmented(
  { hidden, attention, teacherSees = 'item' }: LessonOptions,
  train: TrainSettings = {},
): void {
  const moving = train.augment?.find(({ kind }) => MOVING.has(kind));
  if (teacherSees === 'batch' || !moving || !(hidden || attention)) return;
  throw new TierbedError(
    'invalid',
    `distill.${hidden ? 'hidden' : 'attention'}: the augmentation '${moving.kind}' moves what the student sees, and the teacher sees each item as it is`,
    {
      fix: 'Set `teacherSees: batch`, which asks the teacher about every augmented batch; or leave the augmentation out.',
    },
  );
}
