import { setTimeout as sleep } from 'node:timers/promises';
import { TierbedError } from '../../../base/errors.js';
import type { TierControl } from '../runtimes/runtime.js';
import type { TierName } from '../tiers/tiers.js';
import { type Fault, optionsSchema, tierOf, tierOption } from './fault.js';

/** One turn of running and standing still: short beside a request, long beside what a signal takes. */
const PERIOD_MS = 40;

export const slowCpu: Fault = {
  name: 'slow-cpu',
  help: 'A node gets only one in `factor` of its processor time.',
  options: optionsSchema({ tier: tierOption, factor: { type: 'number', minimum: 1.1, maximum: 100 } }, [
    'tier',
    'factor',
  ]),
  target: ({ tier, factor }) => `${tier} x${factor}`,
  claims: ({ tier }) => [`tier/${tier}/cpu`],
  async start({ testbed: { tiers } }, options) {
    const tier = tierOf(options);
    const factor = options.factor as number;
    const before = await tiers.limits(tier).catch((error: unknown) => {
      if (error instanceof TierbedError && error.kind === 'refused') return undefined;
      throw error;
    });
    // Where there are no limits to lower, the node is stopped for most of each period: what a CPU quota does too.
    if (!before) return standStill(tiers, tier, factor);
    await tiers.setLimits(tier, { cpus: before.cpus / factor });
    return async () => {
      await tiers.setLimits(tier, { cpus: before.cpus });
    };
  },
};

async function standStill(tiers: TierControl, tier: TierName, factor: number): Promise<() => Promise<void>> {
  const runMs = PERIOD_MS / factor;
  let ending = false;
  let failure: unknown;
  const turn = async (): Promise<void> => {
    await tiers.pause(tier);
    try {
      await sleep(PERIOD_MS - runMs);
    } finally {
      await tiers.resume(tier);
    }
  };
  await turn();
  const turning = (async () => {
    while (!ending) {
      await sleep(runMs);
      if (!ending) await turn();
    }
  })().catch((error: unknown) => {
    failure = error;
  });
  return async () => {
    ending = true;
    await turning;
    if (failure) throw failure;
  };
}
