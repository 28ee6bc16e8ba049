import type { TestContext } from 'node:test';
import { TierbedError } from '../../../../../base/errors.js';
import type { LinkSettings, OpenLinks } from '../../../../../services/link/types.js';
import type { Gate, ServiceState } from '../../../../../services/orchestrator/runtimes/docker/gate.js';
import { agentOf, type DockerParts } from '../../../../../services/orchestrator/runtimes/docker/testbed.js';
import { TIER_NAMES, type TierName, type TierSet } from '../../../../../services/orchestrator/tiers/tiers.js';
import { type NodeControlHandlers, nodeControlService } from '../../../../../services/rpc/node-control.js';
import { type RpcServer, startRpcServer } from '../../../../../services/rpc/server/server.js';

export const TIERS: TierSet = {
  mobile: { cpus: 0.25, memoryMiB: 512, engine: 'native', threads: 1 },
  edge: { cpus: 0.5, memoryMiB: 1024, engine: 'native', threads: 1 },
  cloud: { cpus: 1, memoryMiB: 2048, engine: 'native', threads: 0 },
};
const direction = { rateMbps: 10, delayMs: 1, jitterMs: 0, queueBytes: 1000 };
export const LINKS: readonly LinkSettings[] = [
  { name: 'mobile-edge', up: direction, down: direction },
  { name: 'edge-cloud', up: direction, down: direction },
];
export const STANDING: readonly LinkSettings[] = LINKS.map((link) => ({ ...link, up: { ...direction, delayMs: 9 } }));

/** A server that can be ended as a process is, and started again at the same address. */
class Mortal {
  address = '127.0.0.1:0';
  #server: RpcServer | undefined;
  readonly #handlers: () => Partial<NodeControlHandlers>;

  constructor(handlers: () => Partial<NodeControlHandlers>) {
    this.#handlers = handlers;
  }

  async start(): Promise<void> {
    if (this.#server) return;
    const unexpected = async (): Promise<never> => {
      throw new Error('not expected in this test');
    };
    const all: NodeControlHandlers = {
      ...{ describe: unexpected, missingFiles: unexpected, putFile: unexpected, deploy: unexpected },
      ...{ undeploy: unexpected, runSample: unexpected, calibrate: unexpected, setFault: unexpected },
      ...this.#handlers(),
    };
    const [host, port] = this.address.split(':') as [string, string];
    this.#server = await startRpcServer({ host, port: Number(port), services: [nodeControlService(all)] });
    this.address = this.#server.address;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.close(0);
  }
}

/** Containers, the gate to them, nodes and agents, all in this process. */
export class FakeTestbed {
  readonly calls: string[] = [];
  readonly deployed: Record<TierName, Set<string>> = { mobile: new Set(), edge: new Set(), cloud: new Set() };
  readonly states = new Map<string, ServiceState>();
  readonly opened: LinkSettings[][] = [];
  linksSet: LinkSettings[] = [];
  standing: readonly LinkSettings[] | undefined;
  linksClosed = 0;
  gateDown = false;
  /** What the nodes' control groups say in place of what is set. */
  nodeSees: { quota: { cpus: number } | null; memoryLimitBytes: number | null } | undefined;
  /** Changes what Docker reads back. */
  readBack: (limits: ServiceState['limits']) => ServiceState['limits'] = (limits) => limits;
  readonly #servers = new Map<string, Mortal>();
  #now = Date.parse('2026-01-01T00:00:00Z');

  static async start(t: TestContext): Promise<FakeTestbed> {
    const fake = new FakeTestbed();
    t.after(() => fake.close());
    for (const tier of TIER_NAMES) {
      fake.#servers.set(tier, new Mortal(() => fake.#handlers(tier)));
      fake.#servers.set(agentOf(tier), new Mortal(() => ({})));
      for (const service of [agentOf(tier), tier]) await fake.begin(service);
    }
    for (const service of ['gate', 'prometheus']) await fake.begin(service);
    return fake;
  }

  get parts(): DockerParts {
    const address = (service: string): string => this.#servers.get(service)?.address ?? '';
    return {
      gate: this.gate,
      addresses: {
        nodes: { mobile: address('mobile'), edge: address('edge'), cloud: address('cloud') },
        agents: { mobile: address('mobile-link'), edge: address('edge-link'), cloud: address('cloud-link') },
        data: new Map([['mobile>edge', 'a:1']]),
      },
      openLinks: async (_agents, links, _signal, { standing }) => {
        this.opened.push([...links]);
        this.standing = standing;
        return this.#links();
      },
      host: { cores: 4, memoryMiB: 8192 },
      connectWithinMs: 10_000,
      recoverWithinMs: 10_000,
      lookEveryMs: 3_600_000,
    };
  }

  /** The process of a service begins: its server answers, and its container is as new. */
  async begin(service: string): Promise<void> {
    await this.#servers.get(service)?.start();
    this.#now += 1000;
    const before = this.states.get(service);
    this.states.set(service, {
      ...{ service, id: `id of ${service}`, imageId: 'sha256:1', exitCode: 0, oomKilled: false, health: 'healthy' },
      limits: before?.limits ?? { CpuPeriod: 0, CpuQuota: 0, Memory: 0, MemorySwap: 0 },
      restarts: 0,
      status: 'running',
      startedAt: new Date(this.#now).toISOString(),
    });
    if (TIER_NAMES.includes(service as TierName)) this.deployed[service as TierName].clear();
  }

  /** It dies. */
  async end(service: string, how: Partial<ServiceState> = { status: 'exited', exitCode: 137 }): Promise<void> {
    this.states.set(service, { ...(this.states.get(service) as ServiceState), ...how });
    await this.#servers.get(service)?.stop();
  }

  async close(): Promise<void> {
    for (const server of this.#servers.values()) await server.stop();
  }

  get gate(): Gate {
    const known = (service: string): ServiceState => {
      if (this.gateDown) throw new TierbedError('unavailable', 'the gate does not answer');
      const state = this.states.get(service);
      if (!state) throw new TierbedError('missing', `no container for ${service}`);
      return { ...state, limits: this.readBack(state.limits) };
    };
    const act = (what: string, then: (service: string) => Promise<void> | void) => async (service: string) => {
      known(service);
      this.calls.push(`${what} ${service}`);
      await then(service);
    };
    const is = (service: string, status: ServiceState['status']): void => {
      this.states.set(service, { ...known(service), status });
    };
    return {
      services: async () => new Map([...this.states.keys()].map((service) => [service, known(service)])),
      inspect: async (service) => known(service),
      update: async (service, limits) => {
        this.calls.push(`update ${service}`);
        this.states.set(service, { ...known(service), limits });
      },
      usage: async (service) => {
        known(service);
        const throttling = { periods: 10, throttledPeriods: 4, throttledMs: 20 };
        return { cpuSeconds: 3, memoryBytes: 5 * 2 ** 20, throttling };
      },
      kill: act('kill', (service) => this.end(service)),
      start: act('start', (service) => {
        if (TIER_NAMES.includes(service as TierName) && known(agentOf(service as TierName)).status !== 'running') {
          throw new TierbedError('unavailable', 'cannot join network of a non running container');
        }
        return this.begin(service);
      }),
      restart: act('restart', async (service) => {
        await this.end(service);
        await this.begin(service);
      }),
      pause: act('pause', (service) => is(service, 'paused')),
      unpause: act('unpause', (service) => is(service, 'running')),
    };
  }

  #handlers(tier: TierName): Partial<NodeControlHandlers> {
    return {
      describe: async () => {
        const { CpuPeriod, CpuQuota, Memory } = this.states.get(tier)?.limits ?? {
          CpuPeriod: 0,
          CpuQuota: 0,
          Memory: 0,
        };
        const sees = this.nodeSees ?? {
          quota: CpuQuota > 0 ? { cpus: CpuQuota / CpuPeriod } : null,
          memoryLimitBytes: Memory > 0 ? Memory : null,
        };
        return {
          ...{ tier, version: '1', dataAddress: '', metricsAddress: '', pid: 1 },
          environmentJson: JSON.stringify(sees),
          deployments: [...this.deployed[tier]],
        };
      },
      deploy: async ({ name }) => {
        this.deployed[tier].add(name);
        return { engine: 'native', threads: 1, threadsReason: '', loadMs: 0, warmupMs: 0 };
      },
      undeploy: async ({ name }) => {
        if (!this.deployed[tier].delete(name)) throw new TierbedError('missing', `no model is deployed as "${name}"`);
        return {};
      },
    };
  }

  #links(): OpenLinks {
    const links = {
      addresses: new Map([['mobile>cloud', 'proxy:5']]),
      addRoute: async () => '',
      removeRoute: async () => {},
      set: async (link: LinkSettings) => {
        this.linksSet.push(link);
      },
      stats: async () => new Map(),
      close: async () => {
        this.linksClosed++;
      },
    };
    return links as Partial<OpenLinks> as OpenLinks;
  }
}
