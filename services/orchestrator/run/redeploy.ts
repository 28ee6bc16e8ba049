import { TierbedError } from '../../../base/errors.js';
import type { Progress } from '../../../base/progress.js';
import type { Testbed } from '../runtimes/runtime.js';
import { chainOf } from '../study/placements.js';
import type { ResolvedStudy } from '../study/resolve.js';
import { TIER_NAMES, type TierName } from '../tiers/tiers.js';
import { type DeployedStage, deploy } from './deploy.js';

/** A request that hangs on a lost node keeps its deployment until it is given up. */
const UNDEPLOY_WITHIN_MS = 10_000;

/**
 * Deploys again on nodes that began anew, and on those before them in a chain, whose connections lead to the old ones.
 *
 * @throws as `deploy`
 */
export async function redeploy(
  study: ResolvedStudy,
  testbed: Testbed,
  restarted: readonly TierName[],
  progress: Progress,
  signal: AbortSignal,
): Promise<DeployedStage[]> {
  const before = tiersBefore(study.strategies, restarted);
  // A connection is shared by all strategies that use it and ends with the last of them: only then is another one made.
  for (const tier of before) {
    for (const { id, placement } of study.strategies) {
      if (!leadsInto(placement, tier, restarted)) continue;
      const deadlineMs = Date.now() + UNDEPLOY_WITHIN_MS;
      await testbed.nodes[tier].client.undeploy(id, { signal, deadlineMs }).catch(unlessCancelled);
    }
  }
  const tiers = TIER_NAMES.filter((tier) => restarted.includes(tier) || before.includes(tier));
  return deploy(study, testbed, progress, signal, tiers);
}

/** Tiers that were not restarted and send straight to one that was. */
export function tiersBefore(
  strategies: readonly { readonly placement: string }[],
  restarted: readonly TierName[],
): readonly TierName[] {
  return TIER_NAMES.filter(
    (tier) => !restarted.includes(tier) && strategies.some(({ placement }) => leadsInto(placement, tier, restarted)),
  );
}

function leadsInto(placement: string, tier: TierName, restarted: readonly TierName[]): boolean {
  const chain = chainOf(placement);
  const next = chain[chain.findIndex((hop) => hop.tier === tier) + 1];
  return chain.some((hop) => hop.tier === tier) && next !== undefined && restarted.includes(next.tier);
}

/** A name that is not there any more, or that hangs on what is lost, is deployed over. */
function unlessCancelled(error: unknown): void {
  if (error instanceof TierbedError && error.kind === 'cancelled') throw error;
}
