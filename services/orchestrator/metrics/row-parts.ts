import { MAX_STAGES, PARTS, type Part, type SampleRow } from '../../../analysis/columns.js';
import { chainOf, PLACEMENTS, tiersOf } from '../study/placements.js';

/** A piece of a sample's time. */
export interface RowPart {
  readonly part: string;
  /** Where it was spent, or '' where the row does not say. For `up` and `down`: the tier that the link leads to. */
  readonly tier: string;
  readonly seconds: number;
}

/** The parts that the row has by stage as well as in sum. */
const STAGE_PARTS = { queue: 'Queue', load: 'Load', compute: 'Compute' } as const satisfies Partial<
  Record<Part, string>
>;
/** The parts that belong to a hop of the chain, and the way that they are. */
const HOP_PARTS = {
  hop1Up: { hop: 1, part: 'up' },
  hop1Down: { hop: 1, part: 'down' },
  hop2Up: { hop: 2, part: 'up' },
  hop2Down: { hop: 2, part: 'down' },
} as const satisfies Partial<Record<Part, { hop: number; part: string }>>;

/**
 * Takes a row's time apart, by tier as far as the row tells: the pieces are disjoint and add up to `endToEndMs`. Parts
 * that took no time are left out; a row that failed has none.
 */
export function rowParts(row: SampleRow): RowPart[] {
  const placement = String(row.placement);
  if (row.status !== 'ok' || !(placement in PLACEMENTS)) return [];
  const tiers = tiersOf(placement);
  const chain = chainOf(placement);
  const parts = PARTS.flatMap((part): RowPart[] => {
    const seconds = secondsOf(row, `${part}Ms`);
    if (part in STAGE_PARTS) {
      const column = STAGE_PARTS[part as keyof typeof STAGE_PARTS];
      const stages = Array.from({ length: MAX_STAGES }, (_, stage) => ({
        part,
        // A placement of fewer tiers than stages has the others on its last.
        tier: tiers[stage] ?? tiers.at(-1) ?? '',
        seconds: secondsOf(row, `stage${stage}${column}Ms`),
      }));
      // What nodes without a stage of their own spent on it.
      const rest = seconds - stages.reduce((sum, stage) => sum + stage.seconds, 0);
      return [...stages, { part, tier: '', seconds: rest }];
    }
    if (part in HOP_PARTS) {
      const { hop, part: way } = HOP_PARTS[part as keyof typeof HOP_PARTS];
      return [{ part: way, tier: chain[hop]?.tier ?? '', seconds }];
    }
    return [{ part, tier: '', seconds }];
  });
  // A nanosecond is what the rows are exact to.
  return parts.filter(({ seconds }) => seconds >= 0.5e-9);
}

function secondsOf(row: SampleRow, column: string): number {
  const ms = row[column];
  return typeof ms === 'number' ? ms / 1000 : 0;
}
