import { TierbedError } from '../../../base/errors.js';
import { type Progress, silent } from '../../../base/progress.js';
import type { LinkProbe } from '../probe/link-probe.js';
import type { LinkName, LinkSettings, OpenLinks } from '../types.js';
import { validateLinkSettings } from '../validate.js';
import { type Exercising, exercises } from './exercises.js';
import { expectation } from './expect.js';
import { type Judged, judgeBlocked, type LinkFigure } from './judge.js';
import { isTraced, withoutTraces } from './verify-trace.js';

export type { FigureName, LinkFigure } from './judge.js';

/** How long something may take to come through links that let nothing through. */
const BLOCKED_MS = 400;
/** Where no more than this is tolerated, all that there is to measure is measured; what need not be as exact takes less. */
const FULL_EFFORT_PCT = 3;
/** How long each direction is filled to measure its rate, with full effort and at least. */
const BULK_MS = 600;
const LEAST_BULK_MS = 60;
/** Of the progress, for each chain. */
const STEPS = 10;

export interface LinkReport {
  readonly ok: boolean;
  readonly figures: readonly LinkFigure[];
  readonly maxAttempts: number;
  readonly tookMs: number;
}

export interface VerifyOptions {
  /** Times may differ by this for each link that they cross... */
  readonly toleranceMs?: number;
  /** ...or by this share of what was set, whichever is more; rates by the share alone. */
  readonly tolerancePct?: number;
  /** How often a figure that is out of tolerance is measured before it counts. */
  readonly attempts?: number;
  /** How long each direction is filled to measure its rate; by default as long as the tolerance needs. */
  readonly bulkMs?: number;
  /** Chains of links to measure beside each single link; by default the chain of all. */
  readonly chains?: readonly (readonly LinkName[])[];
  readonly progress?: Progress;
}

/**
 * Measures every link, and every chain of links, against what was set, in both directions: one-way delay, jitter, round
 * trip, the time of a 10 kB message, the rate, and the loss where links have packets to lose.
 *
 * The jitter's sampling error widens its tolerances by three standard errors, and losses are held against what chance leaves
 * them. A busy machine disturbs a measurement, never improves it, so a figure that is out of tolerance is measured again, up
 * to `attempts` times. Links that are blocked are to let nothing through. A link with a trace is measured as it is when the
 * trace begins, and set anew afterwards, so that the trace begins then; deliveries are counted while it runs.
 *
 * @param links what is in force; @param settings what should be
 * @throws TierbedError `unavailable` when a link lets nothing through that should
 */
export async function verifyLinks(
  links: OpenLinks,
  settings: readonly LinkSettings[],
  options: VerifyOptions = {},
): Promise<LinkReport> {
  for (const link of settings) validateLinkSettings(link);
  const names = settings.map((link) => link.name);
  const chains = [...names.map((name) => [name]), ...(options.chains ?? (names.length > 1 ? [names] : []))];
  const maxAttempts = options.attempts ?? 3;
  const progress = options.progress ?? silent;
  const startMs = performance.now();
  const figures: LinkFigure[] = [];
  const traced = settings.filter(isTraced);
  const measure = async (chain: readonly LinkName[], what: Measure, step: number): Promise<void> => {
    const link = chain.join(' + ');
    const members = chain.map((name) => settings.find((s) => s.name === name) as LinkSettings);
    const probe = await links.probe(chain);
    try {
      const tests = what(probe, members);
      for (const [i, test] of tests.entries()) {
        progress.update(step * STEPS + Math.floor((i * STEPS) / tests.length), link);
        figures.push(...(await repeat(test, maxAttempts)).map((figure) => ({ link, ...figure })));
      }
    } finally {
      await probe.close();
    }
  };
  progress.start('checking the links', (chains.length + traced.length) * STEPS);
  try {
    for (const link of traced) await links.set(withoutTraces(link));
    try {
      for (const [i, chain] of chains.entries()) {
        await measure(chain, (probe, members) => constantTests(probe, members, options), i);
      }
    } finally {
      for (const link of traced) await links.set(link);
    }
    for (const [i, link] of traced.entries()) {
      const deliveries: Measure = (probe) => exercises(exercising(probe, [link], options)).deliveries(link);
      await measure([link.name], deliveries, chains.length + i);
    }
  } finally {
    progress.stop();
  }
  return { ok: figures.every((f) => f.ok), figures, maxAttempts, tookMs: performance.now() - startMs };
}

type Test = () => Promise<readonly Judged[]>;
type Measure = (probe: LinkProbe, members: readonly LinkSettings[]) => readonly Test[];

/** The tests of a chain whose links do not change meanwhile. */
function constantTests(probe: LinkProbe, members: readonly LinkSettings[], options: VerifyOptions): readonly Test[] {
  if (members.some(letsNothingThrough)) return [async () => [judgeBlocked(await comesThrough(probe))]];
  const tests = exercises(exercising(probe, members.map(withoutTraces), options)).constant;
  if (!members.some(isTraced)) return tests;
  return tests.map((test) => async () => (await test()).map((figure) => ({ ...figure, note: 'as the trace begins' })));
}

function letsNothingThrough({ blocked, up, down }: LinkSettings): boolean {
  return blocked === true || up.lossPct === 100 || down.lossPct === 100;
}

async function comesThrough(probe: LinkProbe): Promise<boolean> {
  const task = { upBytes: 48, downBytes: 48, count: 1, intervalMs: 0, timeoutMs: BLOCKED_MS };
  return probe.exchange(task).then(
    () => true,
    () => false,
  );
}

function exercising(probe: LinkProbe, members: readonly LinkSettings[], options: VerifyOptions): Exercising {
  const { toleranceMs = 1, tolerancePct = 3 } = options;
  const effort = Math.min(1, FULL_EFFORT_PCT / tolerancePct);
  const bulkMs = options.bulkMs ?? Math.max(LEAST_BULK_MS, BULK_MS * effort);
  return {
    probe,
    up: expectation(members, 'up'),
    down: expectation(members, 'down'),
    // Each link of a chain may be off.
    tolerance: { ms: toleranceMs * members.length, share: tolerancePct / 100 },
    bulkMs,
    effort,
  };
}

/** Measures until every figure is in tolerance, keeping those that are, `attempts` times at most. */
async function repeat(test: Test, attempts: number): Promise<Omit<LinkFigure, 'link'>[]> {
  let kept: Omit<LinkFigure, 'link'>[] = [];
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const fresh = await test();
    kept = fresh.map((figure, i) => (kept[i]?.ok ? kept[i] : { ...figure, attempts: attempt }));
    if (kept.every((figure) => figure.ok)) break;
  }
  return kept;
}

/**
 * Refuses to go on when a link is not what was set.
 *
 * @throws TierbedError `refused` with the table of set and measured
 */
export function assertLinks(report: LinkReport): void {
  if (report.ok) return;
  const wrong = report.figures.filter((f) => !f.ok).length;
  throw new TierbedError(
    'refused',
    `${wrong} of ${report.figures.length} figures of the links are out of tolerance, measured up to ${report.maxAttempts} times:\n${linkTable(report)}`,
    { fix: 'Stop other work on this machine, or set links that it can keep up with.' },
  );
}

/** The figures as aligned text, those out of tolerance marked. */
export function linkTable(report: LinkReport): string {
  const rows = report.figures.map((f) => [
    f.link,
    f.direction,
    f.figure,
    f.set === null ? 'unlimited' : f.set.toFixed(3),
    f.measured.toFixed(3),
    f.set === null ? '' : f.tolerance.toFixed(3),
    `${f.attempts}`,
    `${f.ok ? 'ok' : 'OUT'}${f.note === undefined ? '' : ` (${f.note})`}`,
  ]);
  const all = [['link', 'direction', 'figure', 'set', 'measured', 'tolerance', 'tries', ''], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => (row[column] as string).length))) ?? [];
  const numeric = new Set([3, 4, 5, 6]);
  return all
    .map((row) =>
      row
        .map((cell, i) => (numeric.has(i) ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
