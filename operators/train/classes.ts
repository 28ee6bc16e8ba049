import { TierbedError } from '../../base/errors.js';
import type { PostprocessSpec, Workload, WorkloadItem } from '../../workloads/types.js';

/** The output whose highest score is the answer. */
type Argmax = Extract<PostprocessSpec, { kind: 'argmax' }>;

/** @throws TierbedError `invalid` for a workload that is no classification */
export function classification(workload: Workload): Argmax {
  if (workload.postprocess.kind === 'argmax') return workload.postprocess;
  throw new TierbedError(
    'invalid',
    `cross-entropy needs a classification, and ${workload.name} has the postprocessing '${workload.postprocess.kind}'`,
    { fix: 'Give the workload `postprocess: { kind: argmax, output: NAME }`, or train with `objective: mse`.' },
  );
}

/**
 * The class of each item by its id: the place of its label among the workload's classes where it names them, else the
 * label itself, a number from 0, as `argmax` answers.
 *
 * @throws TierbedError `invalid` naming the first item whose label is no class
 */
export function classesOf(items: readonly WorkloadItem[], { classes }: Argmax): ReadonlyMap<string, number> {
  const places = classes && new Map(classes.map((name, i) => [name, i]));
  const classOf = (label: string): number =>
    (places ? places.get(label) : /^\d+$/.test(label) ? Number(label) : undefined) ?? -1;
  return new Map(
    items.map(({ id, label }): [string, number] => {
      const found = classOf(label);
      if (found >= 0) return [id, found];
      const what = label === '' ? 'has no label' : `has the label '${label}'`;
      const wanted = classes
        ? `which is none of the ${classes.length} classes: ${classes.slice(0, 6).join(', ')}${classes.length > 6 ? '...' : ''}`
        : 'which is no number of a class, and the workload names no classes';
      throw new TierbedError('invalid', `the training item ${id} ${what}, ${wanted}`, {
        fix: 'Correct the label, or name all classes in `postprocess.classes`, in the order of the scores.',
      });
    }),
  );
}

/**
 * Refuses classes that the scores have no place for.
 *
 * @param count scores of an item
 * @throws TierbedError `invalid` naming an item
 */
export function refuseOutOfRange(classes: ReadonlyMap<string, number>, count: number, output: string): void {
  for (const [id, index] of classes) {
    if (index < count) continue;
    throw new TierbedError(
      'invalid',
      `the training item ${id} is of class ${index} (from 0), and '${output}' has ${count} scores`,
      { fix: 'Correct the label, or train a model with as many outputs as there are classes.' },
    );
  }
}
