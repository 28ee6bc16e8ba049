import { messageOf, TierbedError } from '../../../../base/errors.js';
import type { Progress } from '../../../../base/progress.js';
import { routeName } from '../../../link/routes.js';
import type { LinkSettings, OpenLinks } from '../../../link/types.js';
import type { NodeEnvironment } from '../../../node/environment.js';
import { TIER_NAMES, type TierName, type TierSet } from '../../tiers/tiers.js';
import type {
  Interruption,
  Recovery,
  Testbed,
  TestbedNode,
  TestbedRequest,
  TierControl,
  TierLimits,
  TierState,
} from '../runtime.js';
import type { TestbedAddresses } from './addresses.js';
import { capacityNotes, type HostCapacity, tierProblem } from './capacity.js';
import type { Gate, ServiceState } from './gate.js';
import { Interruptions } from './interruptions.js';
import { assertNodeSees, assertReadBack, hostLimits, type NodeView, tierLimits } from './limits.js';
import { bringBack } from './recovery.js';
import { type RememberedLinks, rememberLinks } from './remembered-links.js';
import { connectNode } from './tier-node.js';
import { until } from './waiting.js';
import { Watch } from './watch.js';

/** What a testbed is made of; tests put their own in. */
export interface DockerParts {
  readonly gate: Gate;
  readonly addresses: TestbedAddresses;
  readonly openLinks: (
    agents: TestbedAddresses['agents'],
    links: readonly LinkSettings[],
    signal: AbortSignal,
    options: { readonly standing: readonly LinkSettings[] },
  ) => Promise<OpenLinks>;
  readonly host: HostCapacity;
  /** How long what should be there is waited for. */
  readonly connectWithinMs: number;
  /** How long what was lost may take to come back. */
  readonly recoverWithinMs: number;
  /** How often the containers are looked at for what the connections do not show. */
  readonly lookEveryMs: number;
}

/** The link agent of a tier. */
export const agentOf = (tier: TierName): string => `${tier}-link`;

/** What undeploying at the end may take a node. */
const DESCRIBE_WITHIN_MS = 10_000;
const UNDEPLOY_WITHIN_MS = 10_000;
const CLOSE_LINKS_WITHIN_MS = 15_000;

/** The containers of Compose's project as a testbed. */
export class DockerTestbed implements Testbed {
  readonly nodes: Readonly<Record<TierName, TestbedNode>>;
  readonly links: OpenLinks;
  readonly tiers: TierControl;
  readonly notes: readonly string[];
  /** Settled when it is closed, and another one may have the containers. */
  readonly gone: Promise<void>;
  #setGone = (): void => {};
  readonly #parts: DockerParts;
  readonly #asked: TierSet;
  readonly #remembered: RememberedLinks;
  readonly #nodes: Record<TierName, TestbedNode>;
  readonly #watch: Watch;
  readonly #interruptions = new Interruptions();
  readonly #timer: NodeJS.Timeout;
  /** The containers as they were when all was well. */
  #known: ReadonlyMap<string, ServiceState>;
  /** Killed through `tiers.kill`: not lost, and not to be brought back before `tiers.start`. */
  readonly #downOnPurpose = new Set<TierName>();
  #lost: { readonly tier: TierName; readonly reason: string } | undefined;
  #losing = new AbortController();
  /** Changed since the testbed was opened. */
  readonly #limitsSet = new Map<TierName, TierLimits>();
  #looking: Promise<void> | undefined;
  #closed = false;
  /** What ends meanwhile is the recovery's own doing, or is seen when it is over. */
  #recovering = false;

  /**
   * @param standing what the links are to be when the testbed is closed
   * @throws TierbedError `unavailable`, `refused`, `cancelled`; nothing is held then
   */
  static async open(
    parts: DockerParts,
    { tiers, links }: TestbedRequest,
    progress: Progress,
    signal: AbortSignal,
    standing: readonly LinkSettings[],
  ): Promise<DockerTestbed> {
    const { gate, addresses } = parts;
    const problem = tierProblem(tiers, parts.host);
    if (problem) throw new TierbedError('refused', `tiers.${problem.tier}.${problem.key}: ${problem.message}`, problem);
    const nodes: TestbedNode[] = [];
    progress.start('connecting to the testbed', 2 * TIER_NAMES.length + 1);
    try {
      const withinMs = parts.connectWithinMs;
      const known = await firstLook(gate, withinMs, signal);
      assertThere(known);
      // Somebody may have killed an agent while nobody looked: its node is in a dead network then.
      await bringBack({ gate, known, except: new Set(), withinMs, signal, progress });
      for (const tier of TIER_NAMES) {
        nodes.push(await connectNode(tier, addresses.nodes[tier], parts.connectWithinMs, signal));
        progress.update(nodes.length, tier);
      }
      for (const [i, tier] of TIER_NAMES.entries()) {
        nodes[i] = await limit(gate, nodes[i] as TestbedNode, tiers[tier], signal);
        await undeployAll(nodes[i] as TestbedNode);
        progress.update(TIER_NAMES.length + i + 1, `the limits of ${tier}`);
      }
      const open = await parts.openLinks(addresses.agents, links, signal, { standing });
      const [mobile, edge, cloud] = nodes as [TestbedNode, TestbedNode, TestbedNode];
      const remembered = rememberLinks(open, links);
      return new DockerTestbed(parts, tiers, { mobile, edge, cloud }, remembered, await gate.services());
    } catch (error) {
      for (const { client } of nodes) client.channel.close();
      throw error;
    } finally {
      progress.stop();
    }
  }

  private constructor(
    parts: DockerParts,
    asked: TierSet,
    nodes: Record<TierName, TestbedNode>,
    remembered: RememberedLinks,
    known: ReadonlyMap<string, ServiceState>,
  ) {
    this.gone = new Promise((resolve) => {
      this.#setGone = resolve;
    });
    this.#parts = parts;
    this.#asked = asked;
    this.#nodes = nodes;
    this.#remembered = remembered;
    this.#known = known;
    this.links = remembered.links;
    this.notes = [
      ...capacityNotes(asked, parts.host),
      ...TIER_NAMES.filter((tier) => known.get(tier)?.limits.MemorySwap !== hostLimits(asked[tier]).MemorySwap).map(
        (tier) => `the kernel does not limit swap: ${tier} may use more than its memory there`,
      ),
    ];
    // Those who hold `nodes` see the node of today.
    this.nodes = {
      get mobile() {
        return nodes.mobile;
      },
      get edge() {
        return nodes.edge;
      },
      get cloud() {
        return nodes.cloud;
      },
    };
    this.tiers = this.#tierControl();
    this.#watch = new Watch((name, why) => this.#connectionEnded(name, why));
    this.#watchAll();
    this.#timer = setInterval(() => void this.look(), parts.lookEveryMs);
    this.#timer.unref();
  }

  route(from: TierName, to: TierName): string {
    const name = routeName(from, to);
    const address = this.links.addresses.get(name) ?? this.#parts.addresses.data.get(name);
    if (address === undefined) throw new TierbedError('internal', `there is no route ${name}`);
    return address;
  }

  lost(): { readonly tier: TierName; readonly reason: string } | undefined {
    return this.#lost;
  }

  get lostSignal(): AbortSignal {
    return this.#losing.signal;
  }

  interruptions(): readonly Interruption[] {
    return this.#interruptions.list();
  }

  /** One look at a time: who asks while one is under way waits for that one. */
  look(): Promise<void> {
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async recover(signal: AbortSignal, progress: Progress): Promise<Recovery> {
    const lost = this.#lost;
    const { gate, addresses, recoverWithinMs } = this.#parts;
    progress.start(`waiting for ${lost?.tier ?? 'the testbed'}`);
    this.#recovering = true;
    try {
      const { services, restartedTiers, restartedAgents } = await bringBack({
        gate,
        known: this.#known,
        except: this.#downOnPurpose,
        withinMs: recoverWithinMs,
        signal,
        progress,
      });
      for (const tier of restartedTiers) {
        this.#nodes[tier].client.channel.close();
        this.#nodes[tier] = await connectNode(tier, addresses.nodes[tier], recoverWithinMs, signal);
      }
      if (restartedAgents.length > 0) await this.#setLinksAgain(signal);
      for (const tier of restartedTiers) {
        assertReadBack(tier, this.#limitsOf(tier), services.get(tier)?.limits ?? {});
      }
      this.#known = services;
      this.#lost = undefined;
      this.#losing = new AbortController();
      this.#watchAll();
      for (const what of ['gate', ...TIER_NAMES, ...TIER_NAMES.map(agentOf)]) this.#interruptions.end(what);
      return { tiers: restartedTiers, linksRenewed: restartedAgents.length > 0 };
    } finally {
      this.#recovering = false;
      progress.stop();
    }
  }

  async describeTiers(): Promise<Readonly<Record<TierName, Readonly<Record<string, unknown>>>>> {
    const { gate } = this.#parts;
    const describe = async (tier: TierName): Promise<Readonly<Record<string, unknown>>> => {
      try {
        const [state, agent, { throttling }, { environmentJson }] = await Promise.all([
          gate.inspect(tier),
          gate.inspect(agentOf(tier)),
          gate.usage(tier),
          this.#nodes[tier].client.describe({ deadlineMs: Date.now() + DESCRIBE_WITHIN_MS }),
        ]);
        const seen = JSON.parse(environmentJson || '{}') as Partial<NodeEnvironment>;
        return {
          container: state.id,
          image: state.imageId,
          limitsSet: hostLimits(this.#limitsOf(tier)),
          limitsReadBack: state.limits,
          cgroup: {
            quota: seen.quota,
            memoryLimitBytes: seen.memoryLimitBytes,
            cpuUsage: seen.cpuUsage,
            memoryUsage: seen.memoryUsage,
          },
          startedAt: state.startedAt,
          restarts: state.restarts,
          oomKilled: state.oomKilled,
          throttling,
          agent: { image: agent.imageId, startedAt: agent.startedAt, restarts: agent.restarts },
        };
      } catch (error) {
        return { unknown: messageOf(error) };
      }
    };
    const [mobile, edge, cloud] = await Promise.all([describe('mobile'), describe('edge'), describe('cloud')]);
    return { mobile, edge, cloud };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#watch.close();
    await this.#looking?.catch(() => {});
    const undeployed = TIER_NAMES.filter((tier) => !this.#downOnPurpose.has(tier)).map((tier) =>
      undeployAll(this.#nodes[tier]).catch(() => {}),
    );
    await Promise.all([...undeployed, bounded(this.links.close(), CLOSE_LINKS_WITHIN_MS)]);
    for (const tier of TIER_NAMES) this.#nodes[tier].client.channel.close();
    this.#setGone();
  }

  /** An agent that began anew lets nothing pass until it is told what its links are. */
  async #setLinksAgain(signal: AbortSignal): Promise<void> {
    const { recoverWithinMs: withinMs } = this.#parts;
    const failure = (why: string): TierbedError =>
      new TierbedError('unavailable', `the links could not be set again within ${withinMs / 1000} s: ${why}`, {
        fix: 'Look at the logs of the link agents: docker compose logs mobile-link edge-link cloud-link.',
      });
    const setAll = async (): Promise<true> => {
      for (const link of this.#remembered.settings()) await this.links.set(link);
      return true;
    };
    await until(setAll, { withinMs, everyMs: 500, signal, failure });
  }

  #limitsOf(tier: TierName): TierLimits {
    const { cpus, memoryMiB } = this.#limitsSet.get(tier) ?? this.#asked[tier];
    return { cpus, memoryMiB };
  }

  #tierControl(): TierControl {
    const { gate, host, addresses, recoverWithinMs } = this.#parts;
    const inForce = async (tier: TierName): Promise<TierLimits> => {
      const { limits } = await gate.inspect(tier);
      const found = tierLimits(limits);
      if (found) return found;
      throw new TierbedError('refused', `${tier} has no limits any more`, {
        fix: `Set them: tierbed tier set ${tier} --cpus ${this.#asked[tier].cpus} --memory-mb ${this.#asked[tier].memoryMiB}`,
      });
    };
    return {
      state: async (tier) => stateOf((await gate.inspect(tier)).status),
      limits: inForce,
      usage: async (tier) => {
        const { cpuSeconds, memoryBytes, throttling } = await gate.usage(tier);
        return { cpuSeconds, memoryBytes, throttledSeconds: throttling.throttledMs / 1000 };
      },
      setLimits: async (tier, change) => {
        const wanted = { ...this.#limitsOf(tier), ...definedOf(change) };
        const asked = { ...this.#asked, [tier]: { ...this.#asked[tier], ...wanted } };
        const problem = tierProblem({ ...asked }, host);
        if (problem?.tier === tier) throw new TierbedError('refused', problem.message, problem);
        await gate.update(tier, hostLimits(wanted));
        assertReadBack(tier, wanted, (await gate.inspect(tier)).limits);
        this.#limitsSet.set(tier, wanted);
        return inForce(tier);
      },
      kill: async (tier) => {
        this.#downOnPurpose.add(tier);
        this.#watch.drop(tier);
        try {
          await gate.kill(tier);
        } catch (error) {
          this.#downOnPurpose.delete(tier);
          this.#watch.set(tier, addresses.nodes[tier]);
          throw error;
        }
      },
      start: async (tier) => {
        if (!this.#downOnPurpose.has(tier) && (await gate.inspect(tier)).status === 'running') return;
        await gate.start(tier);
        this.#nodes[tier].client.channel.close();
        this.#nodes[tier] = await connectNode(
          tier,
          addresses.nodes[tier],
          recoverWithinMs,
          new AbortController().signal,
        );
        this.#known = new Map(this.#known).set(tier, await gate.inspect(tier));
        this.#downOnPurpose.delete(tier);
        this.#watch.set(tier, addresses.nodes[tier]);
      },
      pause: (tier) => gate.pause(tier),
      resume: (tier) => gate.unpause(tier),
    };
  }

  #watchAll(): void {
    const { nodes, agents } = this.#parts.addresses;
    for (const tier of TIER_NAMES) {
      this.#watch.set(agentOf(tier), agents[tier]);
      if (!this.#downOnPurpose.has(tier)) this.#watch.set(tier, nodes[tier]);
    }
  }

  #connectionEnded(name: string, why: string): void {
    const tier = TIER_NAMES.find((candidate) => name === candidate || name === agentOf(candidate));
    if (tier === undefined || this.#closed) return;
    if (name === tier && this.#downOnPurpose.has(tier)) return;
    this.#lose(tier, name, why);
  }

  #lose(tier: TierName, service: string, why: string): void {
    // A node whose agent is lost is restarted by the recovery: that is no loss of its own.
    if (this.#recovering && service === tier && this.#interruptions.isOpen(agentOf(tier))) return;
    this.#interruptions.begin(service, why);
    if (this.#recovering || this.#lost) return;
    this.#lost = { tier, reason: service === tier ? why : `its link agent ${service} is gone: ${why}` };
    this.#losing.abort();
  }

  /** Compares the containers with what they were. Those that carry no sample are brought back from here. */
  async #lookNow(): Promise<void> {
    const { gate } = this.#parts;
    let services: ReadonlyMap<string, ServiceState>;
    try {
      services = await gate.services();
    } catch (error) {
      if (!this.#closed) this.#interruptions.begin('gate', messageOf(error));
      return;
    }
    if (this.#closed) return;
    this.#interruptions.end('gate');
    for (const [service, before] of this.#known) {
      const now = services.get(service);
      const why = difference(before, now);
      const tier = TIER_NAMES.find((candidate) => service === candidate || service === agentOf(candidate));
      if (tier !== undefined) {
        if (why !== undefined && !(service === tier && this.#downOnPurpose.has(tier))) this.#lose(tier, service, why);
      } else if (why === undefined) {
        this.#interruptions.end(service);
      } else {
        this.#interruptions.begin(service, why);
        if (now?.status === 'running') this.#known = new Map(this.#known).set(service, now);
        else if (now?.status === 'exited') await gate.start(service).catch(() => {});
      }
    }
  }
}

/**
 * The containers as they are. After a restart of the engine all come up in no order, and this process may be there before
 * the gate is.
 */
function firstLook(gate: Gate, withinMs: number, signal: AbortSignal): Promise<ReadonlyMap<string, ServiceState>> {
  const failure = (why: string): TierbedError =>
    new TierbedError('unavailable', `the gate did not let anybody in within ${withinMs / 1000} s: ${why}`, {
      fix: 'Bring it up: docker compose up --wait gate; `docker compose logs gate` says why it ended.',
    });
  return until(() => gate.services(), { withinMs, everyMs: 500, signal, failure });
}

/** Sets a tier's limits and checks them on both sides; gives the node as it is then. */
async function limit(gate: Gate, node: TestbedNode, asked: TierLimits, signal: AbortSignal): Promise<TestbedNode> {
  const { tier, client } = node;
  const { cpus, memoryMiB } = asked;
  await gate.update(tier, hostLimits({ cpus, memoryMiB }));
  assertReadBack(tier, { cpus, memoryMiB }, (await gate.inspect(tier)).limits);
  const description = await client.describe({ signal });
  assertNodeSees(tier, { cpus, memoryMiB }, JSON.parse(description.environmentJson || '{}') as NodeView);
  return { ...node, description };
}

/** Takes everything off a node that answers. */
async function undeployAll({ client }: TestbedNode): Promise<void> {
  const deadline = { deadlineMs: Date.now() + UNDEPLOY_WITHIN_MS };
  for (const name of (await client.describe(deadline)).deployments) await client.undeploy(name, deadline);
}

/** @throws TierbedError `missing` naming the services without a container */
function assertThere(services: ReadonlyMap<string, ServiceState>): void {
  const missing = TIER_NAMES.flatMap((tier) => [tier, agentOf(tier)]).filter((service) => !services.has(service));
  if (missing.length === 0) return;
  throw new TierbedError('missing', `the testbed has no container for ${missing.join(', ')}`, {
    fix: 'Bring it up: docker compose up --wait.',
  });
}

/** What happened to a container since it was well, or undefined. */
function difference(before: ServiceState, now: ServiceState | undefined): string | undefined {
  if (!now) return 'its container is gone';
  if (now.status !== 'running' && now.status !== 'paused') {
    const memory = now.oomKilled ? ', for want of memory' : '';
    return before.status === 'running' ? `${now.status} with code ${now.exitCode}${memory}` : undefined;
  }
  if (now.id !== before.id || now.startedAt !== before.startedAt) return 'it was restarted';
  return undefined;
}

function stateOf(status: ServiceState['status']): TierState {
  return status === 'running' || status === 'paused' ? status : 'stopped';
}

function definedOf(change: Partial<TierLimits>): Partial<TierLimits> {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}

async function bounded(work: Promise<unknown>, withinMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, withinMs);
  });
  await Promise.race([
    work.then(
      () => {},
      () => {},
    ),
    late,
  ]);
  clearTimeout(timer);
}
