import type { SampleRow } from '../../../analysis/columns.js';
import { readSamples } from '../../../analysis/samples-csv.js';
import { TierbedError } from '../../../base/errors.js';
import type { PlannedSample } from '../plan/plan.js';
import type { ResolvedStudy } from '../study/resolve.js';

/**
 * Counts the rows of samples.csv, each checked against the plan: the plan is run in order, so that what is recorded is
 * its beginning.
 *
 * @param plan the plan from its beginning; afterwards it stands at the first sample that is not recorded
 * @param onRow is given every row
 * @throws TierbedError `refused` when a row is not the plan's
 */
export async function countRecorded(
  path: string,
  study: ResolvedStudy,
  plan: Iterator<PlannedSample>,
  onRow: (row: SampleRow) => void = () => {},
): Promise<number> {
  let count = 0;
  for await (const row of readSamples(path)) {
    const { value: planned, done } = plan.next() as IteratorResult<PlannedSample, undefined>;
    const fits =
      !done &&
      row.sample === planned.sample &&
      row.round === planned.round &&
      row.block === planned.block &&
      row.strategy === study.strategies[planned.strategy]?.id &&
      row.item === study.workloads[planned.workload]?.items[planned.item]?.id;
    if (!fits) {
      throw new TierbedError('refused', `${path}:${count + 2}: sample ${row.sample} is not what the plan has there`, {
        fix: 'The file was changed after it was written; start a new run.',
      });
    }
    count++;
    onRow(row);
  }
  return count;
}
