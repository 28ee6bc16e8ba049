import { TierbedError } from '../../base/errors.js';
import { type Progress, silent } from '../../base/progress.js';
import {
  type Expected,
  type Judged,
  judgeMessage,
  judgePings,
  judgeRate,
  type LinkFigure,
  leastMs,
  rateOf,
  type Tolerance,
} from './judge.js';
import { clippedNormal } from './normal.js';
import { type Exchange, PING_BYTES, Probe } from './probe/probe.js';
import type { Direction, DirectionSettings, LinkName, LinkSettings, OpenLinks } from './types.js';
import { validateLinkSettings } from './validate.js';
import { PACKET_BYTES, transferMs } from './wire.js';

export type { FigureName, LinkFigure } from './judge.js';

/** A message of this size shows what a rate does to a single request. */
const MESSAGE_BYTES = 10_000;
const MESSAGES = 6;
const PINGS = 30;
const MIN_PINGS = 12;
/** The first exchanges of a connection meet cold code and cold caches. */
const WARM_UP = 4;
const PING_INTERVAL_MS = 8;
const UNLIMITED_BULK_BYTES = 32 * 1024 * 1024;
const MAX_BULK_BYTES = 256 * 1024 * 1024;

export interface LinkReport {
  readonly ok: boolean;
  readonly figures: readonly LinkFigure[];
  readonly maxAttempts: number;
  readonly tookMs: number;
}

export interface VerifyOptions {
  /** Times may differ by this... */
  readonly toleranceMs?: number;
  /** ...or by this share of what was set, whichever is more; rates by the share alone. */
  readonly tolerancePct?: number;
  /** How often a figure that is out of tolerance is measured before it counts. */
  readonly attempts?: number;
  /** How long each direction is filled to measure its rate. */
  readonly bulkMs?: number;
  /** Chains of links to measure beside each single link; by default the chain of all. */
  readonly chains?: readonly (readonly LinkName[])[];
  readonly progress?: Progress;
}

/**
 * Measures every link, and every chain of links, against what was set: one-way delay, jitter, round trip, the time of a
 * 10 kB message, and the rate of a bulk transfer, in both directions, over temporary routes to a probe.
 *
 * The jitter's sampling error widens its tolerances by three standard errors. A busy machine disturbs a measurement, never
 * improves it, so a figure that is out of tolerance is measured again, up to `attempts` times.
 *
 * @param links what is in force; @param settings what should be
 * @throws TierbedError `unavailable` when a link lets nothing through
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
  const probe = await Probe.open();
  progress.start('checking the links', chains.length * 5);
  try {
    for (const [i, chain] of chains.entries()) {
      const name = `probe ${chain.join(' + ')}`;
      const address = await links.addRoute({ name, via: chain, target: probe.address });
      try {
        const members = chain.map((link) => settings.find((s) => s.name === link) as LinkSettings);
        const tests = exercises(probe, address, expectation(members, 'up'), expectation(members, 'down'), options);
        for (const [j, test] of tests.entries()) {
          progress.update(i * 5 + j, chain.join(' + '));
          figures.push(...(await repeat(test, maxAttempts)).map((figure) => ({ link: chain.join(' + '), ...figure })));
        }
      } finally {
        await links.removeRoute(name);
      }
    }
  } finally {
    await probe.close();
    progress.stop();
  }
  return { ok: figures.every((f) => f.ok), figures, maxAttempts, tookMs: performance.now() - startMs };
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
    { fix: 'stop other work on this machine, or set links that it can keep up with' },
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
    f.ok ? 'ok' : 'OUT',
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

function expectation(members: readonly LinkSettings[], direction: Direction): Expected {
  const all: readonly DirectionSettings[] = members.map((link) => link[direction]);
  const delays = all.map((s) => clippedNormal(s.delayMs, s.jitterMs));
  return {
    delayMs: delays.reduce((sum, d) => sum + d.mean, 0),
    jitterMs: Math.hypot(...delays.map((d) => d.sd)),
    ratesMbps: direction === 'up' ? all.map((s) => s.rateMbps) : all.map((s) => s.rateMbps).reverse(),
  };
}

/** Measures until every figure is in tolerance, keeping those that are, `attempts` times at most. */
async function repeat(test: () => Promise<readonly Judged[]>, attempts: number): Promise<Omit<LinkFigure, 'link'>[]> {
  let kept: Omit<LinkFigure, 'link'>[] = [];
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const fresh = await test();
    kept = fresh.map((figure, i) => (kept[i]?.ok ? kept[i] : { ...figure, attempts: attempt }));
    if (kept.every((figure) => figure.ok)) break;
  }
  return kept;
}

/** The exercises for one chain; each gives the same figures in the same order whenever it is done. */
function exercises(
  probe: Probe,
  address: string,
  up: Expected,
  down: Expected,
  { toleranceMs = 1, tolerancePct = 3, bulkMs = 400 }: VerifyOptions,
): readonly (() => Promise<readonly Judged[]>)[] {
  const tolerance: Tolerance = { ms: toleranceMs, share: tolerancePct / 100 };
  const run = (upBytes: number, downBytes: number, count: number, intervalMs = 0) => {
    const eachMs = leastMs(up, upBytes) + leastMs(down, downBytes) + 6 * (up.jitterMs + down.jitterMs);
    const timeoutMs = 5000 + 3 * (intervalMs > 0 ? eachMs + count * intervalMs : (count + 1) * eachMs);
    return probe.run(address, { upBytes, downBytes, count, intervalMs, timeoutMs });
  };
  const sizes = (direction: Direction, bytes: number): [number, number] =>
    direction === 'up' ? [bytes, PING_BYTES] : [PING_BYTES, bytes];

  const pings = async () => {
    const serialMs = [up, down].map((expected) => transferMs(PING_BYTES, expected.ratesMbps));
    // Far enough apart that no ping waits for the one before it.
    const intervalMs = Math.max(
      PING_INTERVAL_MS,
      8 * Math.hypot(up.jitterMs, down.jitterMs),
      4 * Math.max(...serialMs),
    );
    const count = Math.max(MIN_PINGS, Math.min(PINGS, Math.floor(2000 / intervalMs)));
    const all = await run(PING_BYTES, PING_BYTES, count + WARM_UP, intervalMs);
    return judgePings(all.slice(WARM_UP), PING_BYTES, up, down, tolerance);
  };

  const message = (direction: Direction, expected: Expected) => async () => {
    const roundTripMs = leastMs(expected, MESSAGE_BYTES) + (direction === 'up' ? down : up).delayMs;
    const count = Math.max(2, Math.min(MESSAGES, Math.floor(500 / roundTripMs)));
    const all = await run(...sizes(direction, MESSAGE_BYTES), count + 1);
    return [judgeMessage(all.slice(1), MESSAGE_BYTES, direction, expected, tolerance)];
  };

  const bulk = (direction: Direction, expected: Expected) => async () => {
    const rateMbps = rateOf(expected);
    // Long enough that the jitter of its last packet is a small part of it.
    const lastMs = Math.min(1500, Math.max(bulkMs, 250 * expected.jitterMs));
    const wanted =
      rateMbps === null ? UNLIMITED_BULK_BYTES : Math.max(40 * PACKET_BYTES, (rateMbps * 1000 * lastMs) / 8);
    const bytes = Math.round(Math.min(MAX_BULK_BYTES, wanted));
    const [exchange] = (await run(...sizes(direction, bytes), 1)) as [Exchange];
    return [judgeRate(exchange, direction, expected, tolerance)];
  };

  return [pings, message('up', up), message('down', down), bulk('up', up), bulk('down', down)];
}
