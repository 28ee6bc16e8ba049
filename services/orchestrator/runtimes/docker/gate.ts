import Docker from 'dockerode';
import { messageOf, TierbedError } from '../../../../base/errors.js';
import type { HostLimits } from './limits.js';

/** One container of the testbed, as Docker sees it. */
export interface ServiceState {
  readonly service: string;
  readonly id: string;
  readonly imageId: string;
  readonly status: 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
  /** ISO 8601. */
  readonly startedAt: string;
  readonly exitCode: number;
  /** The kernel killed it for want of memory. */
  readonly oomKilled: boolean;
  /** Restarts by Docker's own policy. */
  readonly restarts: number;
  /** Of its health check; undefined without one. */
  readonly health: 'starting' | 'healthy' | 'unhealthy' | undefined;
  readonly limits: HostLimits;
}

/** What a container used since it started, and what CFS did to it. */
export interface ServiceUsage {
  readonly cpuSeconds: number;
  /** What counts against its limit, pages of files too. */
  readonly memoryBytes: number;
  readonly throttling: {
    readonly periods: number;
    readonly throttledPeriods: number;
    /** Summed over cores. */
    readonly throttledMs: number;
  };
}

/** What the orchestrator may do to the testbed's containers, by their Compose service. All throw TierbedError. */
export interface Gate {
  /** Every service that has a container, running or not, but for those that the gate keeps to itself. */
  services(): Promise<ReadonlyMap<string, ServiceState>>;
  /** @throws TierbedError `missing` when the service has no container */
  inspect(service: string): Promise<ServiceState>;
  update(service: string, limits: HostLimits): Promise<void>;
  /** @throws TierbedError `refused` when it does not run: nothing is counted then */
  usage(service: string): Promise<ServiceUsage>;
  kill(service: string): Promise<void>;
  start(service: string): Promise<void>;
  restart(service: string): Promise<void>;
  pause(service: string): Promise<void>;
  unpause(service: string): Promise<void>;
}

const SERVICE_LABEL = 'com.docker.compose.service';
/** The gate and Docker answer at once, but for the calls that wait for a container. */
const TIMEOUT_MS = 30_000;

/**
 * A client of the gate, which speaks a part of the Engine API.
 *
 * @param url e.g. `http://gate:7071`
 * @throws TierbedError `invalid` when it is not a URL
 */
export function openGate(url: string): Gate {
  const { protocol, host, port } = parseGateUrl(url);
  const docker = new Docker({ protocol, host, port, timeout: TIMEOUT_MS });
  const ids = new Map<string, string>();

  const call = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw gateError(url, what, error);
    }
  };
  const list = () => call('list the containers', () => docker.listContainers({ all: true }));
  const refresh = async (): Promise<void> => {
    ids.clear();
    for (const { Id, Labels } of await list()) {
      const service = Labels[SERVICE_LABEL];
      if (service !== undefined) ids.set(service, Id);
    }
  };
  /** Does something to a service's container, whose id changes when Compose makes it anew. */
  const withContainer = async <T>(
    what: string,
    service: string,
    work: (container: Docker.Container) => Promise<T>,
  ): Promise<T> => {
    const known = ids.has(service);
    if (!known) await refresh();
    const id = ids.get(service);
    if (id === undefined) throw noContainer(service);
    try {
      return await call(`${what} ${service}`, () => work(docker.getContainer(id)));
    } catch (error) {
      ids.delete(service);
      if (known && error instanceof TierbedError && error.kind === 'missing') return withContainer(what, service, work);
      throw error;
    }
  };
  const act = (what: string, service: string, work: (container: Docker.Container) => Promise<unknown>): Promise<void> =>
    withContainer(what, service, work).then(() => {});
  const inspect = (service: string): Promise<ServiceState> =>
    withContainer('inspect', service, async (container) => stateOf(service, await container.inspect()));

  return {
    async services() {
      await refresh();
      const states = await Promise.all(
        [...ids.keys()].map((service) =>
          inspect(service).catch((error: unknown) => {
            // It went away since it was listed, or it is one that the gate lets nobody near: itself, for one.
            if (error instanceof TierbedError && (error.kind === 'missing' || error.kind === 'refused'))
              return undefined;
            throw error;
          }),
        ),
      );
      return new Map(states.flatMap((state) => (state ? [[state.service, state] as const] : [])));
    },
    inspect,
    update: (service, limits) => act('limit', service, (container) => container.update(limits)),
    usage: (service) =>
      withContainer('read the statistics of', service, async (container) => {
        // Once: else the engine reads, waits for a second and reads again.
        const { cpu_stats: cpu, memory_stats: memory } = await container.stats({ stream: false, 'one-shot': true });
        if (memory.usage === undefined) throw new TierbedError('refused', `${service} does not run`);
        const { periods = 0, throttled_periods = 0, throttled_time = 0 } = cpu.throttling_data ?? {};
        return {
          cpuSeconds: cpu.cpu_usage.total_usage / 1e9,
          memoryBytes: memory.usage,
          throttling: { periods, throttledPeriods: throttled_periods, throttledMs: throttled_time / 1e6 },
        };
      }),
    kill: (service) => act('kill', service, (container) => container.kill({ signal: 'SIGKILL' })),
    start: (service) => act('start', service, (container) => container.start().catch(ignoreNotModified)),
    restart: (service) => act('restart', service, (container) => container.restart({ t: 2 })),
    pause: (service) => act('pause', service, (container) => container.pause()),
    unpause: (service) => act('unpause', service, (container) => container.unpause()),
  };
}

function parseGateUrl(url: string): { protocol: 'http'; host: string; port: number } {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== 'http:' || parsed.hostname === '') {
    throw new TierbedError('invalid', `TIERBED_GATE is '${url}', which is not an http:// address`, {
      fix: 'Set TIERBED_GATE=http://gate:7071, as compose.yaml does.',
    });
  }
  return { protocol: 'http', host: parsed.hostname, port: Number(parsed.port || 80) };
}

function stateOf(service: string, info: Docker.ContainerInspectInfo): ServiceState {
  const { State: state, HostConfig: host } = info;
  return {
    service,
    id: info.Id,
    imageId: info.Image,
    status: state.Status as ServiceState['status'],
    startedAt: state.StartedAt,
    exitCode: state.ExitCode,
    oomKilled: state.OOMKilled,
    restarts: info.RestartCount,
    health: healthOf(state.Health?.Status),
    limits: {
      CpuPeriod: host.CpuPeriod ?? 0,
      CpuQuota: host.CpuQuota ?? 0,
      Memory: host.Memory ?? 0,
      MemorySwap: host.MemorySwap ?? 0,
    },
  };
}

function healthOf(status: string | undefined): ServiceState['health'] {
  return status === 'starting' || status === 'healthy' || status === 'unhealthy' ? status : undefined;
}

/** Docker answers 304 to a start of what runs already. */
function ignoreNotModified(error: unknown): void {
  if ((error as { statusCode?: number }).statusCode !== 304) throw error;
}

function noContainer(service: string): TierbedError {
  return new TierbedError('missing', `the testbed has no container for '${service}'`, {
    fix: 'Bring the testbed up: docker compose up --wait.',
  });
}

/** An error of dockerode in Tierbed's terms, in Docker's own words where it has some. */
function gateError(url: string, what: string, error: unknown): TierbedError {
  if (error instanceof TierbedError) return error;
  const { statusCode, json } = error as { statusCode?: number; json?: { message?: string } };
  const words = typeof json?.message === 'string' ? json.message : messageOf(error);
  if (statusCode === undefined) {
    return new TierbedError('unavailable', `the gate at ${url} does not answer: ${words}`, {
      fix: 'Bring it up: docker compose up --wait gate; `docker compose logs gate` says why it ended.',
      cause: error,
    });
  }
  const kind = statusCode === 404 ? 'missing' : statusCode >= 500 ? 'unavailable' : 'refused';
  return new TierbedError(kind, `Docker could not ${what}: ${words}`, {
    fix: /nano ?cpus/i.test(words)
      ? 'Take `cpus` out of the Compose file: Tierbed sets the CPU limit itself, by period and quota.'
      : 'See `docker compose ps` and `docker compose logs gate`.',
    cause: error,
  });
}
