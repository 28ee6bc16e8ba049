import Table from 'cli-table3';
import type { PlanFile } from './plan-file.js';
import type { StudyFile } from './study.js';

/** The plan for people: every strategy, and how many samples there will be. */
export function planTable({ path, study }: StudyFile, plan: PlanFile): string {
  const table = new Table({
    head: ['strategy', 'workload', 'recipe', 'placement', 'session', 'samples'],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'left', 'left', 'left', 'left', 'right'],
  });
  for (const { id, workload, recipe, placement, session } of plan.strategies) {
    const items = plan.workloads.find(({ name }) => name === workload)?.items.length ?? 0;
    table.push([id, workload, recipe, placement, session, String(items * plan.rounds)]);
  }
  const unreadable = plan.workloads.flatMap(({ name, unreadable: items = [] }) =>
    items.map(({ id, reason }) => `Cannot be read and is left out: ${id} of ${name} (${reason})\n`),
  );
  const { length } = plan.strategies;
  return `${path} is valid: ${length} strategies, ${plan.rounds} rounds, payload ${study.payload}, ${plan.samples} samples.\n${table}\n${unreadable.join('')}`;
}
