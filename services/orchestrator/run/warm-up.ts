import type { StrategyIdentity } from '../../../analysis/summary.js';
import { TierbedError } from '../../../base/errors.js';
import type { DriveOptions, PlacedItem } from './drive.js';

export interface WarmUpOptions extends Pick<DriveOptions, 'run' | 'checkTestbed' | 'progress' | 'signal'> {
  readonly strategies: readonly StrategyIdentity[];
  /** The item that a strategy's warm-up requests carry. */
  readonly itemOf: (strategy: StrategyIdentity) => PlacedItem;
  /** Requests of each strategy. */
  readonly runs: number;
}

/**
 * Runs requests that are not recorded: connections open, the nodes' code compiles, their libraries load. Cold sessions
 * get them too: what is cold there is the model's session, not the node. One that fails is left for its sample to show.
 *
 * @throws TierbedError `cancelled`; `unavailable` when a node is lost
 */
export async function warmUp({ strategies, itemOf, runs, run, ...rest }: WarmUpOptions): Promise<void> {
  const { checkTestbed, progress, signal } = rest;
  progress.start('warming up', runs * strategies.length);
  try {
    for (let i = 0; i < runs; i++) {
      for (const [s, strategy] of strategies.entries()) {
        await run(strategy, itemOf(strategy), `warm-up ${i + 1}`).catch(() => undefined);
        if (signal.aborted) throw new TierbedError('cancelled', 'the run was stopped');
        await checkTestbed();
        progress.update(i * strategies.length + s + 1, strategy.id);
      }
    }
  } finally {
    progress.stop();
  }
}
