import { TierbedError } from '../../../base/errors.js';
import type { TierControl } from './runtime.js';

/** For runtimes that can do nothing to their tiers. */
export function noTierControl(runtime: string): TierControl {
  const refuse = async (): Promise<never> => {
    throw new TierbedError('refused', `the ${runtime} runtime cannot limit, pause or kill a tier`, {
      fix: 'Use the docker runtime: tierbed up, then tierbed run STUDY --runtime docker.',
    });
  };
  return {
    state: refuse,
    limits: refuse,
    setLimits: refuse,
    kill: refuse,
    start: refuse,
    pause: refuse,
    resume: refuse,
  };
}
