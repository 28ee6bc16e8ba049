import { setTimeout as sleep } from 'node:timers/promises';
import type { TierControl, TierLimits, TierUsage } from '../runtimes/runtime.js';
import { TIER_NAMES, type TierName } from './tiers.js';

/** Asking a runtime costs calls to it, on a machine whose processors are being measured: its answers are good for so long. */
const GOOD_FOR_MS = 5000;
/** What a processor did is known between two readings: the second is this long behind the first. */
const FIRST_RATE_MS = 500;

/** What the runtime said of a tier. */
export interface TierFigures {
  readonly limits: TierLimits;
  readonly usage: TierUsage | undefined;
  /** Processors that it used in the mean since the reading before; undefined without one. */
  readonly cpus: number | undefined;
  readonly readMs: number;
}

/** Limits and use of the tiers as the runtime sees them from outside, which a node that hangs cannot give. */
export class TierWatch {
  #control: TierControl | undefined;
  #known: ReadonlyMap<TierName, TierFigures> = new Map();
  #askedMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;
  readonly #goodForMs: number;

  constructor(goodForMs = GOOD_FOR_MS) {
    this.#goodForMs = goodForMs;
  }

  /** From now on the figures are of these tiers; undefined: there are none. */
  watch(control: TierControl | undefined): void {
    if (control === this.#control) return;
    this.#control = control;
    this.#known = new Map();
    this.#asking = undefined;
    this.#askedMs = Number.NEGATIVE_INFINITY;
    void this.#refresh();
  }

  /** What is known now, without waiting for the runtime; tiers that it cannot tell of are missing. */
  now(): ReadonlyMap<TierName, TierFigures> {
    void this.#refresh();
    return this.#known;
  }

  /** The same, waiting for the runtime where nothing is known yet. */
  async known(): Promise<ReadonlyMap<TierName, TierFigures>> {
    await this.#refresh();
    const first = [...this.#known.values()].some(({ usage, cpus }) => usage && cpus === undefined);
    if (first) {
      await sleep(FIRST_RATE_MS);
      await this.#refresh(true);
    }
    return this.#known;
  }

  async #refresh(anyway = false): Promise<void> {
    const control = this.#control;
    if (!control) return;
    if (this.#asking) return this.#asking;
    if (!anyway && performance.now() - this.#askedMs < this.#goodForMs) return;
    this.#askedMs = performance.now();
    const asking = askAll(control, this.#known).then((known) => {
      if (this.#control !== control) return;
      this.#asking = undefined;
      this.#known = known;
    });
    this.#asking = asking;
    return asking;
  }
}

async function askAll(
  control: TierControl,
  before: ReadonlyMap<TierName, TierFigures>,
): Promise<Map<TierName, TierFigures>> {
  const known = new Map<TierName, TierFigures>();
  await Promise.all(
    TIER_NAMES.map(async (tier) => {
      try {
        const [limits, usage] = await Promise.all([control.limits(tier), usageOf(control, tier)]);
        const readMs = performance.now();
        known.set(tier, { limits, usage, readMs, cpus: cpusUsed(before.get(tier), usage, readMs) });
      } catch {
        // The runtime cannot tell: there is no figure then.
      }
    }),
  );
  return known;
}

/** Of a tier that does not run there is nothing to be told. */
async function usageOf(control: TierControl, tier: TierName): Promise<TierUsage | undefined> {
  return control.usage?.(tier).catch(() => undefined);
}

function cpusUsed(before: TierFigures | undefined, usage: TierUsage | undefined, readMs: number): number | undefined {
  if (!before?.usage || !usage) return undefined;
  const seconds = usage.cpuSeconds - before.usage.cpuSeconds;
  // A tier that was started again counts from 0.
  return seconds < 0 ? undefined : (seconds * 1000) / (readMs - before.readMs);
}
