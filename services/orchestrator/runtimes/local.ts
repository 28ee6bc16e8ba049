import { TierbedError } from '../../../base/errors.js';
import type { Progress } from '../../../base/progress.js';
import { LINK_DRIVERS } from '../../link/index.js';
import { routeName, TIER_ROUTES } from '../../link/routes.js';
import type { OpenLinks, Route } from '../../link/types.js';
import { TIER_NAMES, type TierName } from '../tiers/tiers.js';
import { ChildNode } from './child-node.js';
import { LocalTiers } from './local-tiers.js';
import type { Runtime, Testbed, TestbedRequest } from './runtime.js';

/** Nodes are child processes on loopback, links the in-process proxy: neither Docker nor root. */
export const local: Runtime = {
  name: 'local',
  linkTolerance: { ms: 1, percent: 3 },
  async open(request, progress, signal): Promise<Testbed> {
    const children: ChildNode[] = [];
    let links: OpenLinks | undefined;
    let tiers: LocalTiers | undefined;
    const close = async (): Promise<void> => {
      await tiers?.close();
      await Promise.all(children.map((child) => child.close()));
      await links?.close().catch(() => {});
    };
    try {
      const nodes = await startNodes(request, children, progress, signal);
      const { proxy } = LINK_DRIVERS;
      links = await (proxy as NonNullable<typeof proxy>).open(request.links, routesTo(nodes));
      const lost = new LostNode();
      tiers = new LocalTiers(nodes, request.tiers, (tier, reason) => lost.add(tier, reason));
      return testbed(tiers, links, lost, close);
    } catch (error) {
      await close();
      throw error;
    }
  },
};

type ChildNodes = Readonly<Record<TierName, ChildNode>>;

async function startNodes(
  { tiers }: TestbedRequest,
  children: ChildNode[],
  progress: Progress,
  signal: AbortSignal,
): Promise<ChildNodes> {
  progress.start('starting the nodes', TIER_NAMES.length);
  let ready = 0;
  try {
    const start = async (tier: TierName): Promise<ChildNode> => {
      const child = ChildNode.spawn(tier, tiers[tier]);
      children.push(child);
      await child.ready(signal);
      progress.update(++ready, tier);
      return child;
    };
    const [mobile, edge, cloud] = await Promise.all([start('mobile'), start('edge'), start('cloud')]);
    return { mobile, edge, cloud };
  } finally {
    progress.stop();
  }
}

function routesTo(nodes: ChildNodes): Route[] {
  return TIER_ROUTES.map(({ from, to, via }) => ({ name: routeName(from, to), via, target: nodes[to].dataAddress }));
}

function testbed(tiers: LocalTiers, links: OpenLinks, lost: LostNode, close: () => Promise<void>): Testbed {
  return {
    nodes: {
      get mobile() {
        return tiers.child('mobile').asTestbedNode();
      },
      get edge() {
        return tiers.child('edge').asTestbedNode();
      },
      get cloud() {
        return tiers.child('cloud').asTestbedNode();
      },
    },
    links,
    tiers,
    notes: ['the local runtime limits neither the CPU nor the memory of a tier: its nodes share this machine'],
    route(from, to) {
      const address = links.addresses.get(routeName(from, to));
      if (address === undefined) throw new TierbedError('internal', `there is no route ${routeName(from, to)}`);
      return address;
    },
    lost: () => lost.first,
    lostSignal: lost.signal,
    close,
  };
}

/** The first node that was lost. */
class LostNode {
  readonly #losing = new AbortController();
  first: { tier: TierName; reason: string } | undefined;
  readonly signal = this.#losing.signal;

  add(tier: TierName, reason: string): void {
    this.first ??= { tier, reason };
    this.#losing.abort();
  }
}
