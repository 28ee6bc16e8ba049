import { TierbedError } from '../../base/errors.js';
import type { Workload } from '../../workloads/types.js';
import { crossEntropy } from '../train/cross-entropy.js';
import { meanSquaredError } from '../train/mean-squared-error.js';
import type { Objective } from '../train/types.js';
import type { DistillOptions } from './options.js';

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

/** The objective of the labels alone. @throws TierbedError `invalid` for a label that is no class, or no numbers */
export function labelsOf(workload: Workload, labelSmoothing: number | undefined): Objective {
  if (workload.postprocess.kind === 'numbers') return meanSquaredError(workload);
  return crossEntropy(workload, labelSmoothing === undefined ? {} : { labelSmoothing });
}

/** Augmentations that move things: what a teacher saw at a place is elsewhere then. */
const MOVING = new Set(['crop', 'flip', 'shift']);

/**
 * Refuses terms that would compare a moved picture's tensors with those of the picture as it was.
 *
 * @throws TierbedError `invalid`
 */
export function refuseAugmented({ hidden, attention, teacherSees = 'item', train }: DistillOptions): void {
  const moving = train?.augment?.find(({ kind }) => MOVING.has(kind));
  if (teacherSees === 'batch' || !moving || !(hidden || attention)) return;
  throw new TierbedError(
    'invalid',
    `distill.${hidden ? 'hidden' : 'attention'}: the augmentation '${moving.kind}' moves what the student sees, and the teacher sees each item as it is`,
    {
      fix: 'Set `teacherSees: batch`, which asks the teacher about every augmented batch; or leave the augmentation out.',
    },
  );
}
