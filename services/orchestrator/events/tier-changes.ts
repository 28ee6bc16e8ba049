import { messageOf } from '../../../base/errors.js';
import { overriding } from '../../../base/overriding.js';
import type { FaultBoard } from '../faults/fault-board.js';
import type { TierControl, TierLimits } from '../runtimes/runtime.js';
import type { TierName } from '../tiers/tiers.js';
import type { EventLog } from './event-log.js';

export interface TierChangesOptions {
  readonly tiers: TierControl;
  /** Where each change is an event until it is undone. */
  readonly log: EventLog;
  /** Of the faults, which a change must not get in the way of, nor they in its. */
  readonly board: Pick<FaultBoard, 'hold'>;
  /** Makes the deployments of a node that has lost them again. */
  readonly redeploy: (tier: TierName) => Promise<void>;
}

/** A change that is in force. */
interface Change {
  readonly undo: () => Promise<void>;
  readonly over: (error?: string) => void;
  readonly release: () => void;
}

/** What somebody made of a tier's limits. */
interface LimitsChange {
  /** Of what was changed: what the study set. */
  readonly original: Partial<TierLimits>;
  readonly now: Partial<TierLimits>;
  readonly over: (error?: string) => void;
  readonly releases: readonly (() => void)[];
}

const LIMITS = ['cpus', 'memoryMiB'] as const;
const CLAIMS = { cpus: 'cpu', memoryMiB: 'memory' } as const;
const OPTIONS = { cpus: '--cpus', memoryMiB: '--memory-mb' } as const;

/**
 * Changes of tiers by hand while a study measures: each is an event of the study from when it is asked for until it is
 * undone, by hand too or by `restore`, so that no sample meanwhile counts as normal.
 */
export class TierChanges {
  /** The tiers as others are to change them. */
  readonly control: TierControl;
  readonly #options: TierChangesOptions;
  /** Killed and paused nodes, by `TIER killed` and `TIER paused`. */
  readonly #changes = new Map<string, Change>();
  readonly #limits = new Map<TierName, LimitsChange>();
  /** One change at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: TierChangesOptions) {
    this.#options = options;
    this.control = overriding(options.tiers, {
      kill: (tier) => this.#exclusive(() => this.#kill(tier)),
      start: (tier) => this.#exclusive(() => this.#start(tier)),
      pause: (tier) => this.#exclusive(() => this.#pause(tier)),
      resume: (tier) => this.#exclusive(() => this.#resume(tier)),
      setLimits: (tier, change) => this.#exclusive(() => this.#setLimits(tier, change)),
    });
  }

  /** Undoes all of them. @throws what undoing the first to fail throws */
  restore(): Promise<void> {
    return this.#exclusive(async () => {
      let failure: unknown;
      const attempt = async (work: Promise<unknown>): Promise<void> => {
        await work.catch((error: unknown) => {
          failure ??= error;
        });
      };
      for (const [tier, { original }] of [...this.#limits]) await attempt(this.#setLimits(tier, original));
      for (const name of [...this.#changes.keys()].reverse()) await attempt(this.#undo(name));
      if (failure) throw failure;
    });
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #kill(tier: TierName): Promise<void> {
    const { tiers, redeploy } = this.#options;
    // A second one is for the runtime to refuse.
    if (this.#changes.has(`${tier} killed`)) return tiers.kill(tier);
    let started = false;
    const undo = async (): Promise<void> => {
      if (!started) await tiers.start(tier);
      started = true;
      await redeploy(tier);
    };
    const fix = `Start it first: tierbed tier start ${tier}`;
    await this.#begin(tier, 'killed', { running: false }, fix, () => tiers.kill(tier), undo);
    this.#end(`${tier} paused`);
  }

  async #start(tier: TierName): Promise<void> {
    if (this.#changes.has(`${tier} killed`)) return this.#undo(`${tier} killed`);
    await this.#unlessHeld(tier, 'started', () => this.#options.tiers.start(tier));
  }

  async #pause(tier: TierName): Promise<void> {
    const { tiers } = this.#options;
    if (this.#changes.has(`${tier} paused`)) return tiers.pause(tier);
    const fix = `Let it go on first: tierbed tier resume ${tier}`;
    await this.#begin(
      tier,
      'paused',
      { paused: true },
      fix,
      () => tiers.pause(tier),
      () => tiers.resume(tier),
    );
  }

  async #resume(tier: TierName): Promise<void> {
    if (this.#changes.has(`${tier} paused`)) return this.#undo(`${tier} paused`);
    await this.#unlessHeld(tier, 'resumed', () => this.#options.tiers.resume(tier));
  }

  async #begin(
    tier: TierName,
    is: 'killed' | 'paused',
    what: unknown,
    fix: string,
    work: () => Promise<void>,
    undo: () => Promise<void>,
  ): Promise<void> {
    const name = `${tier} ${is}`;
    const release = this.#options.board.hold(name, [`tier/${tier}`], fix);
    const over = this.#options.log.begin(name, 'tier', what, 'hand');
    try {
      await work();
    } catch (error) {
      over(messageOf(error));
      release();
      throw error;
    }
    this.#changes.set(name, { undo, over, release });
  }

  /** What could not be undone stays in force, and can be tried again. */
  async #undo(name: string): Promise<void> {
    await this.#changes.get(name)?.undo();
    this.#end(name);
  }

  #end(name: string): void {
    const change = this.#changes.get(name);
    this.#changes.delete(name);
    change?.over();
    change?.release();
  }

  /** A fault that ended or stopped the node will start it again itself. */
  async #unlessHeld(tier: TierName, is: string, work: () => Promise<void>): Promise<void> {
    const release = this.#options.board.hold(`${tier} ${is}`, [`tier/${tier}`], 'Try again in a moment.');
    try {
      await work();
    } finally {
      release();
    }
  }

  async #setLimits(tier: TierName, change: Partial<TierLimits>): Promise<TierLimits> {
    const { tiers, log } = this.#options;
    const keys = LIMITS.filter((key) => change[key] !== undefined);
    const before = await tiers.limits(tier);
    const known = this.#limits.get(tier);
    const original = { ...known?.original, ...picked(known ? { ...before, ...known.original } : before, keys) };
    const now = { ...known?.now, ...picked(change, keys) };
    const differs = LIMITS.some((key) => !same(now[key], original[key]));
    const releases = [...(known?.releases ?? []), ...this.#holdLimits(tier, original, known)];
    const over = differs ? log.begin(`${tier} changed`, 'tier', now, 'hand') : () => {};
    try {
      const after = await tiers.setLimits(tier, change);
      known?.over();
      if (differs) this.#limits.set(tier, { original, now, over, releases });
      else this.#forget(tier, releases);
      return after;
    } catch (error) {
      // Whether it is in force all the same is for the runtime to say; where it cannot, it may be.
      const after = await tiers.limits(tier).catch(() => undefined);
      if (LIMITS.every((key) => same(after?.[key], before[key]))) {
        over(messageOf(error));
        if (known) this.#limits.set(tier, { ...known, releases });
        else this.#forget(tier, releases);
      } else {
        this.#limits.set(tier, { original, now, releases, over: bothOver(known?.over, over) });
      }
      throw error;
    }
  }

  /** Keeps faults away from the limits that are not held already. */
  #holdLimits(tier: TierName, original: Partial<TierLimits>, known: LimitsChange | undefined): (() => void)[] {
    const keys = LIMITS.filter((key) => original[key] !== undefined && known?.original[key] === undefined);
    if (keys.length === 0) return [];
    const options = keys.map((key) => `${OPTIONS[key]} ${original[key]}`).join(' ');
    const fix = `Set it as it was first: tierbed tier set ${tier} ${options}`;
    const claims = keys.map((key) => `tier/${tier}/${CLAIMS[key]}`);
    return [this.#options.board.hold(`${tier} changed`, claims, fix)];
  }

  #forget(tier: TierName, releases: readonly (() => void)[]): void {
    this.#limits.delete(tier);
    for (const release of releases) release();
  }
}

function picked(limits: Partial<TierLimits>, keys: readonly (keyof TierLimits)[]): Partial<TierLimits> {
  return Object.fromEntries(keys.map((key) => [key, limits[key]]));
}

/** A quota is rounded to whole microseconds: what is read back is not always what was set. */
function same(a: number | undefined, b: number | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && Math.abs(a / b - 1) < 0.005);
}

function bothOver(one: ((error?: string) => void) | undefined, other: (error?: string) => void) {
  return (error?: string): void => {
    one?.(error);
    other(error);
  };
}
