import type { LinkName } from './types.js';

/** The tiers, from the device outwards. */
export type RouteTier = 'mobile' | 'edge' | 'cloud';

/** How a request gets from one tier to another. */
export interface TierRoute {
  readonly from: RouteTier;
  readonly to: RouteTier;
  readonly via: readonly LinkName[];
}

export const TIER_ROUTES: readonly TierRoute[] = [
  { from: 'mobile', to: 'edge', via: ['mobile-edge'] },
  { from: 'mobile', to: 'cloud', via: ['mobile-edge', 'edge-cloud'] },
  { from: 'edge', to: 'cloud', via: ['edge-cloud'] },
];

/** What links call the route between two tiers. */
export function routeName(from: RouteTier, to: RouteTier): string {
  return `${from}>${to}`;
}
