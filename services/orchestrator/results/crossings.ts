import type { Crossing } from '../../../analysis/physics.js';
import { CLOCK_ERROR_MS } from '../../../analysis/physics.js';
import { leastOneWayMs } from '../../link/least.js';
import { TIER_ROUTES } from '../../link/routes.js';
import type { Direction, LinkName } from '../../link/types.js';
import type { LinkPeriod } from '../events/link-layers.js';
import { chainOf } from '../study/placements.js';
import type { TierName } from '../tiers/tiers.js';

/**
 * What the proxy may be early by, in ms: it does what is due within 0.1 ms at once, and takes what it reads for as much as
 * 0.5 ms older than it is, to make up for its own late waking. Drivers in the kernel's path are never early.
 */
const PROXY_EARLY_MS = 0.6;

/** What the physics check is to leave to links of these drivers, in ms. */
export function physicsToleranceMs(drivers: readonly (string | undefined)[]): number {
  const inKernel = drivers.length > 0 && drivers.every((name) => name !== undefined && name !== 'proxy');
  return inKernel ? CLOCK_ERROR_MS : CLOCK_ERROR_MS + PROXY_EARLY_MS;
}

/** The least that a message can take over links that changed as `periods` say, in ms; what was asked before is remembered. */
export function leastOf(periods: readonly LinkPeriod[]): (crossing: Crossing) => number {
  const known = new Map<string, number>();
  return ({ hop, bytes, placement, fromUnixMs, toUnixMs }) => {
    const chain = chainOf(placement);
    const number = hop.startsWith('hop1') ? 0 : 1;
    const direction: Direction = hop.endsWith('Up') ? 'up' : 'down';
    const [from, to] = [chain[number]?.tier, chain[number + 1]?.tier];
    const via = viaOf(from, to);
    const inForce = via.map((link) =>
      periods.flatMap((period, i) => {
        const { settings, toUnixMs: until = Number.POSITIVE_INFINITY } = period;
        return settings.name === link && period.fromUnixMs <= toUnixMs && until >= fromUnixMs ? [i] : [];
      }),
    );
    // Of links that nothing is known of nothing can be said.
    if (inForce.some((some) => some.length === 0)) return 0;
    const key = `${inForce.join(';')} ${direction} ${bytes}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const settings = inForce.map((some) => some.map((i) => (periods[i] as LinkPeriod).settings[direction]));
    const least = leastOneWayMs(settings, bytes);
    known.set(key, least);
    return least;
  };
}

/** The links between two tiers, in the order in which a request crosses them. */
function viaOf(from: TierName | undefined, to: TierName | undefined): readonly LinkName[] {
  return TIER_ROUTES.find((route) => route.from === from && route.to === to)?.via ?? [];
}
