import { TierbedError } from '../../../base/errors.js';
import type { AddRouteRequest, LinkAgentLinkStats } from '../../rpc/link-agent.js';
import { nowMs } from '../clock.js';
import { proxyDriver } from '../drivers/proxy.js';
import type { LinkName, LinkSettings, OpenLinks } from '../types.js';
import { wireBytes } from '../wire.js';
import type { AgentPlan, AgentTier } from './plan.js';
import type { DirectionInForce, Shaping } from './shaping.js';

/**
 * The way out where the kernel can shape nothing: the agent of the tier at the near end of a link relays what crosses it,
 * both ways.
 */
export class Relaying implements Shaping {
  readonly #plan: AgentPlan;
  readonly #shut: (links: ReadonlySet<LinkName>) => Promise<void>;
  readonly #links: readonly LinkName[];
  #relay: OpenLinks | undefined;
  #settings: readonly LinkSettings[] = [];
  #sinceMs = 0;
  #last: Promise<void> = Promise.resolve();

  /** @param shut lets nothing pass on these links, and opens the others */
  constructor(plan: AgentPlan, shut: (links: ReadonlySet<LinkName>) => Promise<void>) {
    this.#plan = plan;
    this.#shut = shut;
    this.#links = plan.data.filter(({ sends }) => sends === 'up').map(({ link }) => link);
  }

  configure(links: readonly LinkSettings[]): Promise<void> {
    const done = this.#last.then(() => this.#configure(links.filter(({ name }) => this.#links.includes(name))));
    this.#last = done.catch(() => {});
    return done;
  }

  inForce(): readonly DirectionInForce[] {
    return this.#settings.flatMap((settings) => [
      { link: settings.name, direction: 'up', settings, sinceMs: this.#sinceMs },
      { link: settings.name, direction: 'down', settings, sinceMs: this.#sinceMs },
    ]);
  }

  /** A relay has no packets: what it counts is a stream's bytes, as full packets would carry them. */
  async stats(): Promise<readonly LinkAgentLinkStats[]> {
    const none = { lostPackets: 0, droppedPackets: 0, queuedBytes: 0 };
    const counted = [...((await this.#relay?.stats()) ?? [])];
    return counted.flatMap(([link, { upBytes, downBytes }]) =>
      (
        [
          ['up', upBytes],
          ['down', downBytes],
        ] as const
      ).map(([direction, payload]) => ({
        link,
        direction,
        packets: Math.ceil(payload / 1448),
        bytes: payload === 0 ? 0 : wireBytes(payload),
        ...none,
      })),
    );
  }

  /** @throws TierbedError `refused` before the first settings, `missing` for a tier that is out of reach */
  async addRoute({ name, via, targetTier, target, forTiers }: AddRouteRequest): Promise<string> {
    if (!this.#relay) throw new TierbedError('refused', `the links of ${this.#plan.tier} are not set yet`);
    const host = targetTier === '' ? undefined : this.#plan.peers[targetTier as AgentTier];
    if (targetTier !== '' && host === undefined) {
      throw new TierbedError('missing', `${this.#plan.tier} reaches no tier '${targetTier}'`);
    }
    const towards = this.#plan.data.find(({ sends }) => sends === 'down')?.address;
    return this.#relay.addRoute({
      name,
      via: via as LinkName[],
      target: host === undefined ? target : `${host}:${target}`,
      ...(forTiers && towards !== undefined && { listenOn: towards }),
    });
  }

  async removeRoute(name: string): Promise<void> {
    await this.#relay?.removeRoute(name);
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#relay?.close();
  }

  async #configure(links: readonly LinkSettings[]): Promise<void> {
    if (this.#links.length > 0 && links.length > 0) {
      if (this.#relay) for (const link of links) await this.#relay.set(link);
      else this.#relay = await proxyDriver.open(links, []);
      this.#settings = links;
      this.#sinceMs = nowMs();
    }
    await this.#shut(new Set());
  }
}
