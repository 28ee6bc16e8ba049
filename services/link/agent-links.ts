import { messageOf, TierbedError } from '../../base/errors.js';
import { connect, LinkAgentClient } from '../rpc/client.js';
import type { DescribeAgentResponse, DirectionInForceMessage } from '../rpc/link-agent.js';
import { AgentProbe } from './agent-probe.js';
import { routeName, TIER_ROUTES } from './routes.js';
import type { DirectionSettings, LinkName, LinkSettings, LinkShaper, OpenLinks, Route } from './types.js';
import { validateLinkSettings, validateRoute } from './validate.js';
import { HEADER_BYTES } from './wire.js';

/** The tiers whose namespaces agents own, from the device outwards. */
const TIERS = ['mobile', 'edge', 'cloud'] as const;
type Tier = (typeof TIERS)[number];

/** The tiers that a link joins; `up` leads from the first to the second. */
const ENDS: Readonly<Record<LinkName, readonly [Tier, Tier]>> = {
  'mobile-edge': ['mobile', 'edge'],
  'edge-cloud': ['edge', 'cloud'],
};

const READY_WITHIN_MS = 10_000;
const CALL_MS = 20_000;
const WATCH_EVERY_MS = 1000;

export interface AgentLinksOptions {
  /** What holds on the links once these are closed; absent: they stay shut. */
  readonly standing?: readonly LinkSettings[];
  /** An agent was found to have started anew, and is set as it was before. */
  readonly onRestart?: (tier: Tier) => void;
  /** Of the nodes; 8001 when absent. */
  readonly dataPort?: number;
  /** How often agents are asked whether they are still the same. */
  readonly watchEveryMs?: number;
}

interface Agent {
  readonly tier: Tier;
  readonly client: LinkAgentClient;
  description: DescribeAgentResponse;
}

type Agents = Readonly<Record<Tier, Agent>>;

/**
 * Links that three agents shape, each in its tier's network namespace: puts settings in force, and keeps them so when an
 * agent starts anew.
 *
 * @param addresses host:port of each agent's control
 * @throws TierbedError `unavailable` naming the agent that does not answer; `refused` when the agents do not shape with one
 *   driver; `invalid` for settings that are wrong; `cancelled`
 */
export async function openAgentLinks(
  addresses: Readonly<Record<Tier, string>>,
  links: readonly LinkSettings[],
  signal: AbortSignal,
  options: AgentLinksOptions = {},
): Promise<OpenLinks> {
  for (const link of links) validateLinkSettings(link);
  const clients = TIERS.map((tier) => new LinkAgentClient(connect(addresses[tier])));
  const closeClients = (): void => {
    for (const client of clients) client.channel.close();
  };
  try {
    const [mobile, edge, cloud] = (await Promise.all(
      TIERS.map((tier, i) => reach(tier, clients[i] as LinkAgentClient, signal)),
    )) as [Agent, Agent, Agent];
    const opened = new AgentLinks({ mobile, edge, cloud }, links, options, closeClients);
    await opened.start(signal);
    return opened;
  } catch (error) {
    closeClients();
    throw error;
  }
}

async function reach(tier: Tier, client: LinkAgentClient, signal: AbortSignal): Promise<Agent> {
  const { address } = client.channel;
  const absent = (error: unknown) =>
    new TierbedError('unavailable', `the link agent of ${tier} does not answer at ${address}: ${messageOf(error)}`, {
      fix: `Start it (tierbed link-agent --tier ${tier}), or look at its log.`,
      cause: error,
    });
  const stopped = new Promise<never>((_, reject) => {
    const stop = (): void => reject(new TierbedError('cancelled', 'opening the links was stopped'));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  await Promise.race([
    client.channel.waitForReady(READY_WITHIN_MS).catch((error: unknown) => Promise.reject(absent(error))),
    stopped,
  ]);
  const description = await client.describe({ signal, deadlineMs: Date.now() + CALL_MS }).catch((error: unknown) => {
    throw error instanceof TierbedError && error.kind === 'cancelled' ? error : absent(error);
  });
  if (description.tier !== tier) {
    throw new TierbedError('refused', `the link agent at ${address} is that of ${description.tier}, not of ${tier}`, {
      fix: 'Give each tier the address of its own agent.',
    });
  }
  return { tier, client, description };
}

/** @throws TierbedError `refused` when agents shape with different drivers */
function commonDriver(agents: Agents): DescribeAgentResponse {
  const { mobile, edge, cloud } = agents;
  const names = [mobile, edge, cloud].map(({ tier, description }) => `${tier} ${description.driver}`);
  if (new Set([mobile, edge, cloud].map(({ description }) => description.driver)).size === 1) return mobile.description;
  throw new TierbedError('refused', `the link agents shape with different drivers: ${names.join(', ')}`, {
    fix: 'Start all three with the same --driver.',
  });
}

class AgentLinks implements OpenLinks {
  readonly driver: { readonly name: string; readonly why: string };
  readonly #addresses = new Map<string, string>();
  readonly #routes = new Map<string, Route>();
  readonly #agents: Agents;
  readonly #settings: Map<LinkName, LinkSettings>;
  readonly #options: AgentLinksOptions;
  readonly #closeClients: () => void;
  #watch: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(agents: Agents, links: readonly LinkSettings[], options: AgentLinksOptions, closeClients: () => void) {
    const { driver, why } = commonDriver(agents);
    this.driver = { name: driver, why };
    this.#agents = agents;
    this.#settings = new Map(links.map((link) => [link.name, link]));
    this.#options = options;
    this.#closeClients = closeClients;
  }

  get addresses(): ReadonlyMap<string, string> {
    return this.#addresses;
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#configureAll(signal);
    for (const { from, to, via } of TIER_ROUTES) {
      if (via.every((link) => this.#settings.has(link))) {
        const target = `${to}:${this.#options.dataPort ?? 8001}`;
        await this.addRoute({ name: routeName(from, to), via, target });
      }
    }
    this.#watchSoon();
  }

  async addRoute(route: Route): Promise<string> {
    validateRoute(route, [...this.#settings.keys()]);
    if (this.#routes.has(route.name)) throw new TierbedError('invalid', `the route '${route.name}' is already there`);
    this.#routes.set(route.name, route);
    try {
      const address = await this.#lead(route);
      this.#addresses.set(route.name, address);
      return address;
    } catch (error) {
      this.#routes.delete(route.name);
      throw error;
    }
  }

  async removeRoute(name: string): Promise<void> {
    const route = this.#routes.get(name);
    if (!route) throw new TierbedError('missing', `no route named '${name}' is open`);
    this.#routes.delete(name);
    this.#addresses.delete(name);
    if (this.driver.name !== 'proxy') return;
    for (const link of route.via) await this.#agents[ENDS[link][0]].client.removeRoute(name, within());
  }

  async set(link: LinkSettings): Promise<void> {
    validateLinkSettings(link);
    if (!this.#settings.has(link.name)) throw new TierbedError('invalid', `the link '${link.name}' is not open`);
    this.#settings.set(link.name, link);
    await this.#configureAll();
  }

  /** Of packets that passed since their agent started: what they carried behind the headers of TCP. */
  async stats(): ReturnType<OpenLinks['stats']> {
    const counted = (await Promise.all(TIERS.map((tier) => this.#agents[tier].client.stats(within())))).flat();
    const payload = (name: LinkName, direction: string): number =>
      counted
        .filter((stats) => stats.link === name && stats.direction === direction)
        .reduce((sum, { bytes, packets }) => sum + Math.max(0, bytes - packets * HEADER_BYTES), 0);
    return new Map(
      [...this.#settings.keys()].map((name) => [
        name,
        { upBytes: payload(name, 'up'), downBytes: payload(name, 'down') },
      ]),
    );
  }

  async inForce(): Promise<readonly LinkSettings[]> {
    return linksInForce((await this.#describeAll()).flatMap(({ inForce }) => inForce));
  }

  async shapers(): Promise<readonly LinkShaper[]> {
    return (await this.#describeAll()).map(({ tier, driver, why, notes, kernel, congestionControl }) => {
      return { tier, driver, why, notes, kernel, congestionControl };
    });
  }

  #describeAll(): Promise<DescribeAgentResponse[]> {
    return Promise.all(TIERS.map((tier) => this.#agents[tier].client.describe(within())));
  }

  async probe(via: readonly LinkName[]): ReturnType<OpenLinks['probe']> {
    validateRoute({ name: 'probe', via, target: '' }, [...this.#settings.keys()]);
    const [nearTier] = ENDS[via[0] as LinkName];
    const [, farTier] = ENDS[via.at(-1) as LinkName];
    const near = { client: this.#agents[nearTier].client, tier: nearTier, link: via[0] as LinkName };
    const far = { client: this.#agents[farTier].client, tier: farTier, link: via.at(-1) as LinkName };
    if (this.driver.name !== 'proxy') return AgentProbe.open(near, far);
    return AgentProbe.open(near, far, async (port) => {
      const name = `probe ${port} over ${via.join(' + ')}`;
      const address = await this.addRoute({ name, via, target: `${farTier}:${port}` });
      return { port: Number(address.slice(address.lastIndexOf(':') + 1)), remove: () => this.removeRoute(name) };
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#watch);
    const { standing } = this.#options;
    if (this.driver.name === 'proxy') {
      for (const name of [...this.#routes.keys()]) await this.removeRoute(name).catch(() => {});
    }
    const after = standing ?? [...this.#settings.values()].map((link) => ({ ...link, blocked: true }));
    this.#settings.clear();
    for (const link of after) this.#settings.set(link.name, link);
    await this.#configureAll().catch(() => {});
    this.#closeClients();
  }

  async #configureAll(signal?: AbortSignal): Promise<void> {
    await Promise.all(TIERS.map((tier) => this.#configure(this.#agents[tier], signal)));
  }

  async #configure({ client, tier }: Agent, signal?: AbortSignal): Promise<void> {
    const settings = [...this.#settings.values()].map((link) => JSON.stringify(link));
    try {
      await client.configure(settings, { ...within(), ...(signal && { signal }) });
    } catch (error) {
      if (!(error instanceof TierbedError)) throw error;
      const { kind, message, fix } = error;
      throw new TierbedError(kind, `the link agent of ${tier}: ${message}`, { ...(fix && { fix }), cause: error });
    }
  }

  /** Makes the way of a route: packets find theirs by themselves, a proxy is told at each of its ends. */
  async #lead({ name, via, target }: Route): Promise<string> {
    if (this.driver.name !== 'proxy') return target;
    const [host, port] = target.split(':') as [string, string];
    let next = { targetTier: host, target: port };
    for (const [i, link] of [...via.entries()].reverse()) {
      const { client } = this.#agents[ENDS[link][0]];
      const address = await client.addRoute({ name, via: [link], ...next, forTiers: i > 0 }, within());
      next = { targetTier: '', target: address };
    }
    return next.target;
  }

  #watchSoon(): void {
    this.#watch = setTimeout(async () => {
      await Promise.all(TIERS.map((tier) => this.#look(this.#agents[tier])));
      if (!this.#closing) this.#watchSoon();
    }, this.#options.watchEveryMs ?? WATCH_EVERY_MS).unref();
  }

  /** Sets an agent as it was when it has started anew. One that is away is looked for again the next time. */
  async #look(agent: Agent): Promise<void> {
    try {
      const description = await agent.client.describe({ deadlineMs: Date.now() + CALL_MS });
      if (description.bootId === agent.description.bootId || this.#closing) return;
      await this.#configure(agent);
      agent.description = description;
      if (this.driver.name === 'proxy') await this.#leadAgain();
      this.#options.onRestart?.(agent.tier);
    } catch {
      // Not there, or not ready yet.
    }
  }

  async #leadAgain(): Promise<void> {
    for (const route of [...this.#routes.values()]) {
      await this.removeRoute(route.name).catch(() => {});
      await this.addRoute(route);
    }
  }
}

function within(): { readonly deadlineMs: number } {
  return { deadlineMs: Date.now() + CALL_MS };
}

/** The links out of what each agent has in force: each direction as the agent says that shapes it. */
function linksInForce(messages: readonly DirectionInForceMessage[]): LinkSettings[] {
  const found = new Map<LinkName, { up?: DirectionSettings; down?: DirectionSettings; blocked: boolean }>();
  for (const { direction, settingsJson } of messages) {
    const settings = JSON.parse(settingsJson) as LinkSettings;
    const link = found.get(settings.name) ?? { blocked: false };
    const way = direction === 'up' ? { up: settings.up } : { down: settings.down };
    found.set(settings.name, { ...link, ...way, blocked: link.blocked || (settings.blocked ?? false) });
  }
  return [...found].flatMap(([name, { up, down, blocked }]) =>
    up && down ? [{ name, up, down, ...(blocked && { blocked }) }] : [],
  );
}
