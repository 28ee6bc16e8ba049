import type { TierName } from '../tiers/tiers.js';

/** Where the stages sit, in the order in which a request passes them; requests always start on the mobile node. */
export const PLACEMENTS: Readonly<Record<string, readonly TierName[]>> = {
  mobile: ['mobile'],
  edge: ['edge'],
  cloud: ['cloud'],
  'mobile-edge': ['mobile', 'edge'],
  'mobile-cloud': ['mobile', 'cloud'],
  'edge-cloud': ['edge', 'cloud'],
  'mobile-edge-cloud': ['mobile', 'edge', 'cloud'],
};

export const PLACEMENT_NAMES: readonly string[] = Object.keys(PLACEMENTS);

/** The tiers of a placement. */
export function tiersOf(placement: string): readonly TierName[] {
  return PLACEMENTS[placement] as readonly TierName[];
}

/** The nodes that a request passes: the mobile node first, whether it runs a stage or only sends the item on. */
export function chainOf(placement: string): readonly { tier: TierName; stage: number | undefined }[] {
  const stages = tiersOf(placement).map((tier, stage) => ({ tier, stage }));
  return stages[0]?.tier === 'mobile' ? stages : [{ tier: 'mobile', stage: undefined }, ...stages];
}
