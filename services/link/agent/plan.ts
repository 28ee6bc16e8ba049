import { isIPv4 } from 'node:net';
import { TierbedError } from '../../../base/errors.js';
import type { Direction, LinkName } from '../types.js';

/** The tiers that links join, from the device outwards. */
export const AGENT_TIERS = ['mobile', 'edge', 'cloud'] as const;
export type AgentTier = (typeof AGENT_TIERS)[number];

/** One of a tier's interfaces to a link, known by its address. */
export interface DataInterface {
  readonly link: LinkName;
  readonly address: string;
  /** Whom this interface answers for beside itself: the tier behind edge, as the one before edge sees it. */
  readonly second?: string;
  /** The direction of the link that leaves by this interface; the other one comes in by it. */
  readonly sends: Direction;
}

/** One address put in place of another where packets pass from one link to the other. */
export interface Translation {
  /** Where the packets come in. */
  readonly from: LinkName;
  /** Where they go out. */
  readonly to: LinkName;
  readonly rewrite: 'source' | 'destination';
  readonly address: string;
  readonly becomes: string;
}

/** What a tier's network namespace is to look like. */
export interface AgentPlan {
  readonly tier: AgentTier;
  readonly controlAddress: string;
  readonly controlNetwork: string;
  /** Who may talk to this tier over the control network. */
  readonly controllers: readonly string[];
  readonly data: readonly DataInterface[];
  /** The other tiers' data planes, as this one reaches them. */
  readonly peers: Readonly<Partial<Record<AgentTier, string>>>;
  readonly translations: readonly Translation[];
}

const HOST = { mobile: 10, edge: 20, cloud: 30, orchestrator: 100, prometheus: 101 } as const;

/**
 * The plan of a tier: its addresses and those of its peers, out of the first two bytes that all networks of the testbed
 * share, e.g. `10.203`. NET.1 is the link mobile-edge, NET.2 edge-cloud, NET.3 the control network.
 *
 * Packets between mobile and cloud are translated one to one on edge, so that on each network there are addresses of that
 * network alone: hosts that filter bridged packets, and Docker from 28 on, drop others.
 *
 * @throws TierbedError `invalid` for a prefix that is none
 */
export function agentPlan(tier: AgentTier, prefix: string): AgentPlan {
  if (!isIPv4(`${prefix}.0.0`)) {
    throw new TierbedError('invalid', `'${prefix}' is not the beginning of the testbed's addresses`, {
      fix: 'Set TIERBED_NET (or --net) to the first two bytes of a private network, e.g. 10.203.',
    });
  }
  const first = (host: keyof typeof HOST) => `${prefix}.1.${HOST[host]}`;
  const second = (host: keyof typeof HOST) => `${prefix}.2.${HOST[host]}`;
  const control = (host: keyof typeof HOST) => `${prefix}.3.${HOST[host]}`;
  const common = {
    tier,
    controlAddress: control(tier),
    controlNetwork: `${prefix}.3.0/24`,
    controllers: [control('orchestrator'), control('prometheus')],
  };
  switch (tier) {
    case 'mobile':
      return {
        ...common,
        data: [{ link: 'mobile-edge', address: first('mobile'), sends: 'up' }],
        peers: { edge: first('edge'), cloud: first('cloud') },
        translations: [],
      };
    case 'edge':
      return {
        ...common,
        data: [
          { link: 'mobile-edge', address: first('edge'), second: first('cloud'), sends: 'down' },
          { link: 'edge-cloud', address: second('edge'), second: second('mobile'), sends: 'up' },
        ],
        peers: { mobile: first('mobile'), cloud: second('cloud') },
        translations: [
          ...translated(
            'mobile-edge',
            'edge-cloud',
            first('mobile'),
            second('mobile'),
            first('cloud'),
            second('cloud'),
          ),
          ...translated(
            'edge-cloud',
            'mobile-edge',
            second('cloud'),
            first('cloud'),
            second('mobile'),
            first('mobile'),
          ),
        ],
      };
    case 'cloud':
      return {
        ...common,
        data: [{ link: 'edge-cloud', address: second('cloud'), sends: 'down' }],
        peers: { mobile: second('mobile'), edge: second('edge') },
        translations: [],
      };
  }
}

/** Packets from `source` to `destination` that cross edge, and what the two addresses become behind it. */
function translated(
  from: LinkName,
  to: LinkName,
  source: string,
  sourceBecomes: string,
  destination: string,
  destinationBecomes: string,
): Translation[] {
  return [
    { from, to, rewrite: 'destination', address: destination, becomes: destinationBecomes },
    { from, to, rewrite: 'source', address: source, becomes: sourceBecomes },
  ];
}

/** @throws TierbedError `usage` when there is no such tier */
export function agentTier(name: string): AgentTier {
  const found = AGENT_TIERS.find((tier) => tier === name);
  if (found) return found;
  throw new TierbedError('usage', `there is no tier '${name}'`, { fix: `Use one of: ${AGENT_TIERS.join(', ')}.` });
}

/** The direction of a link that a driver shapes at an interface, by the side that it works on. */
export function shapedDirection(at: DataInterface, side: 'egress' | 'ingress'): Direction {
  if (side === 'egress') return at.sends;
  return at.sends === 'up' ? 'down' : 'up';
}
