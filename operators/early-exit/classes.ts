import { TierbedError } from '../../base/errors.js';
import type { PostprocessSpec, Workload } from '../../workloads/types.js';

/** The output whose highest score is the answer. */
export type Argmax = Extract<PostprocessSpec, { kind: 'argmax' }>;

/** @throws TierbedError `invalid` for a workload that is no classification: an exit has nothing to be sure of there */
export function classificationOf(workload: Workload): Argmax {
  if (workload.postprocess.kind === 'argmax') return workload.postprocess;
  throw new TierbedError(
    'invalid',
    `early-exit needs a classification, and ${workload.name} has postprocessing '${workload.postprocess.kind}'`,
    { fix: 'Give the workload `postprocess: { kind: argmax, output: NAME }`.' },
  );
}

/**
 * The index of an item's class among the scores.
 *
 * @throws TierbedError `invalid` when the label is none of the classes
 */
export function classIndex(label: string, { classes, output }: Argmax, count: number): number {
  const index = classes ? classes.indexOf(label) : /^\d+$/.test(label) ? Number(label) : -1;
  if (index >= 0 && index < count) return index;
  throw new TierbedError('invalid', `the label '${label}' is none of the ${count} classes of '${output}'`, {
    fix: 'Give every item of the calibration and tuning parts a label that is a class.',
  });
}
