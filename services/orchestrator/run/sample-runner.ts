import { setTimeout as delay } from 'node:timers/promises';
import { TierbedError } from '../../../base/errors.js';
import type { Testbed } from '../runtimes/runtime.js';
import type { DriveOptions } from './drive.js';

/** What the orchestrator waits for an answer beyond the sample's own deadline, which the mobile node keeps. */
const GRACE_MS = 5_000;

/** A call can fail by a lost node before its loss is known: this long is waited for it. */
const LOSS_IS_KNOWN_WITHIN_MS = 500;

/** Runs samples on a testbed; those that fail because a node is lost say which. */
export function sampleRunner(
  testbed: Testbed,
  deadlineMs: number,
  signal: AbortSignal,
): Pick<DriveOptions, 'run' | 'checkTestbed'> {
  let stop = AbortSignal.any([signal, testbed.lostSignal]);
  let watched = testbed.lostSignal;
  /** A testbed that recovered has another signal. */
  const stopNow = (): AbortSignal => {
    if (watched === testbed.lostSignal) return stop;
    watched = testbed.lostSignal;
    stop = AbortSignal.any([signal, watched]);
    return stop;
  };
  const lostError = (): TierbedError | undefined => {
    const lost = testbed.lost();
    return lost && new TierbedError('unavailable', `the ${lost.tier} node is lost: ${lost.reason}`);
  };
  return {
    async run(strategy, item, sampleId) {
      stop = stopNow();
      try {
        return await testbed.nodes.mobile.client.runSample(
          { deployment: strategy.id, itemSha256: item.sha256, sampleId, deadlineMs },
          { signal: stop, deadlineMs: Date.now() + deadlineMs + GRACE_MS },
        );
      } catch (error) {
        if (error instanceof TierbedError && error.kind === 'unavailable' && !stop.aborted) {
          await delay(LOSS_IS_KNOWN_WITHIN_MS, undefined, { signal: stop }).catch(() => {});
        }
        throw lostError() ?? error;
      }
    },
    async checkTestbed() {
      if (!testbed.lost()) await testbed.look?.();
      const error = lostError();
      if (error) throw error;
    },
  };
}
