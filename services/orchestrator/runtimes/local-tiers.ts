import { setTimeout as sleep } from 'node:timers/promises';
import { TierbedError } from '../../../base/errors.js';
import { TIER_NAMES, type TierName, type TierSettings } from '../tiers/tiers.js';
import { ChildNode } from './child-node.js';
import { noTierControl } from './no-tier-control.js';
import type { TierControl, TierState } from './runtime.js';

/** A port that was a node's may be another's for a moment. */
const START_ATTEMPTS = 5;
const BETWEEN_ATTEMPTS_MS = 300;

/** The child processes of the local runtime, and what can be done to them: all but limiting them. */
export class LocalTiers implements TierControl {
  readonly limits = noTierControl('local').limits;
  readonly setLimits = noTierControl('local').setLimits;
  readonly #children: Record<TierName, ChildNode>;
  readonly #settings: Readonly<Record<TierName, TierSettings>>;
  readonly #onLost: (tier: TierName, reason: string) => void;
  /** Ends that were asked for. */
  readonly #killed = new WeakSet<ChildNode>();
  readonly #paused = new WeakSet<ChildNode>();
  #closing = false;

  /** @param onLost is told of a node that ended without being asked to */
  constructor(
    children: Readonly<Record<TierName, ChildNode>>,
    settings: Readonly<Record<TierName, TierSettings>>,
    onLost: (tier: TierName, reason: string) => void,
  ) {
    this.#children = { ...children };
    this.#settings = settings;
    this.#onLost = onLost;
    for (const tier of TIER_NAMES) this.#watch(tier);
  }

  child(tier: TierName): ChildNode {
    return this.#children[tier];
  }

  #watch(tier: TierName): void {
    const child = this.#children[tier];
    void child.exited.then((reason) => {
      if (!this.#closing && !this.#killed.has(child)) this.#onLost(tier, reason);
    });
  }

  async state(tier: TierName): Promise<TierState> {
    const child = this.#children[tier];
    return this.#killed.has(child) ? 'stopped' : this.#paused.has(child) ? 'paused' : 'running';
  }

  async kill(tier: TierName): Promise<void> {
    const child = this.#children[tier];
    if (this.#killed.has(child)) throw new TierbedError('refused', `the ${tier} node is killed already`);
    this.#killed.add(child);
    child.signal('SIGKILL');
    await child.exited;
  }

  /** Starts it on the ports that it had: the links lead there. */
  async start(tier: TierName): Promise<void> {
    const old = this.#children[tier];
    if (!this.#killed.has(old)) throw new TierbedError('refused', `the ${tier} node runs`);
    for (let attempt = 1; ; attempt++) {
      if (this.#closing) throw new TierbedError('cancelled', 'the testbed is being taken down');
      const child = ChildNode.spawn(tier, this.#settings[tier], old);
      try {
        await child.ready(AbortSignal.timeout(60_000));
        this.#children[tier] = child;
        this.#watch(tier);
        return;
      } catch (error) {
        child.signal('SIGKILL');
        if (attempt === START_ATTEMPTS) throw error;
        await sleep(BETWEEN_ATTEMPTS_MS);
      }
    }
  }

  async pause(tier: TierName): Promise<void> {
    const child = this.#running(tier);
    child.signal('SIGSTOP');
    this.#paused.add(child);
  }

  async resume(tier: TierName): Promise<void> {
    const child = this.#running(tier);
    child.signal('SIGCONT');
    this.#paused.delete(child);
  }

  #running(tier: TierName): ChildNode {
    const child = this.#children[tier];
    if (!this.#killed.has(child)) return child;
    throw new TierbedError('refused', `the ${tier} node is killed`, { fix: 'Start it first.' });
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(TIER_NAMES.map((tier) => this.#children[tier].close()));
  }
}
