import { TierbedError } from '../../../base/errors.js';
import type { Progress } from '../../../base/progress.js';
import type { Testbed } from '../runtimes/runtime.js';
import type { ResolvedStudy } from '../study/resolve.js';
import type { TierName } from '../tiers/tiers.js';
import { redeploy } from './redeploy.js';

export interface RecoverOptions {
  readonly study: ResolvedStudy;
  readonly testbed: Testbed;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Measures the links again. @throws TierbedError `refused` */
  readonly proveLinks: () => Promise<void>;
  /** Requests that are not recorded, of every strategy. */
  readonly warmUp: () => Promise<void>;
  /** All is as before: what was interrupted is to be put on record. */
  readonly done: () => Promise<void>;
}

/** Something that is lost again while it is made ready again is waited for again, so often. */
const ATTEMPTS = 3;

/**
 * What makes a testbed that lost a node ready for the next sample: waits for it, proves the links again where they were
 * set anew, deploys on what began anew, and warms it up. Undefined where the runtime brings nothing back.
 */
export function recoverer(options: RecoverOptions): (() => Promise<void>) | undefined {
  const { study, testbed, progress, signal } = options;
  if (!testbed.recover) return undefined;
  return async () => {
    const restarted = new Set<TierName>();
    for (let attempt = 1; ; attempt++) {
      const recovery = await testbed.recover?.(signal, progress);
      if (!recovery) return;
      for (const tier of recovery.tiers) restarted.add(tier);
      try {
        if (recovery.linksRenewed) await options.proveLinks();
        await redeploy(study, testbed, [...restarted], progress, signal);
        await options.warmUp();
        await options.done();
        return;
      } catch (error) {
        await testbed.look?.();
        const again = testbed.lost() && attempt < ATTEMPTS;
        if (!again || (error instanceof TierbedError && error.kind === 'cancelled')) throw error;
      }
    }
  };
}
