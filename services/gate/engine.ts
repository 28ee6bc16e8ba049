import { hostname } from 'node:os';
import Docker from 'dockerode';
import { messageOf, TierbedError } from '../../base/errors.js';
import { shortInspection, shortList, shortStats, shortVersion } from './answers.js';
import type { ContainerCall, EngineCall } from './calls.js';
import type { Capacity } from './limits.js';
import { memberNamed, membersOf, PROJECT_LABEL, SERVICE_LABEL } from './project.js';

/** An answer in the Engine API's terms. */
export interface EngineAnswer {
  readonly status: number;
  /** Sent as JSON; nothing when undefined, as it is when a string. */
  readonly body?: unknown;
}

/** The Docker engine, as far as the gate uses it. */
export interface Engine {
  /** The Compose project that the gate is of, and its service's name. */
  readonly project: string;
  readonly service: string;
  readonly capacity: Capacity;
  /** Asks the engine about the machine or the project. */
  ask(call: EngineCall): Promise<EngineAnswer>;
  /** Does something to a container of the project; a text says why not. */
  act(call: ContainerCall): Promise<EngineAnswer | string>;
}

export interface EngineOptions {
  readonly socketPath: string;
  /** The gate's own container; its host name by default, which is the id's beginning. */
  readonly self?: string;
}

/** Longer than the engine waits for a container to end (`MAX_GRACE_S`). */
const ENGINE_TIMEOUT_MS = 45_000;

/**
 * Asks the engine what the gate itself is, so that no caller can say.
 *
 * @throws TierbedError `unavailable` when the engine does not answer, `refused` when the gate runs in no container of
 *   Compose
 */
export async function openEngine({ socketPath, self = hostname() }: EngineOptions): Promise<Engine> {
  const docker = new Docker({ socketPath, timeout: ENGINE_TIMEOUT_MS });
  const { project, service } = await ownProject(docker, self, socketPath);
  const { NCPU, MemTotal } = (await docker.info()) as { NCPU: number; MemTotal: number };
  const list = async (): Promise<Docker.ContainerInfo[]> =>
    docker.listContainers({ all: true, filters: { label: [`${PROJECT_LABEL}=${project}`] } });
  return {
    project,
    service,
    capacity: { cpus: NCPU, memoryBytes: MemTotal },
    async ask({ name }) {
      switch (name) {
        case 'ping':
          await docker.ping();
          return { status: 200, body: 'OK' };
        case 'version':
          return { status: 200, body: shortVersion(await docker.version()) };
        case 'info':
          return { status: 200, body: { NCPU, MemTotal } };
        case 'list':
          return { status: 200, body: shortList(membersOf(await list(), project)) };
      }
    },
    async act(call) {
      const member = memberNamed(call.target, await list(), project);
      return typeof member === 'string' ? member : perform(docker.getContainer(member.id), call);
    },
  };
}

async function perform(container: Docker.Container, call: ContainerCall): Promise<EngineAnswer> {
  switch (call.name) {
    case 'inspect':
      return { status: 200, body: shortInspection(await container.inspect()) };
    case 'stats':
      return { status: 200, body: shortStats(await statsOf(container, call.oneShot)) };
    case 'update':
      await container.update(call.limits);
      return { status: 200, body: { Warnings: null } };
    case 'pause':
      await container.pause();
      break;
    case 'unpause':
      await container.unpause();
      break;
    case 'start':
      await container.start();
      break;
    case 'restart':
      await container.restart(call.graceS === undefined ? {} : { t: call.graceS });
      break;
    case 'kill':
      await container.kill({ signal: call.signal });
  }
  return { status: 204 };
}

/** One-shot ones come at once; the others after a second, with a difference in CPU time to the one before. */
function statsOf(container: Docker.Container, oneShot: boolean): Promise<Docker.ContainerStats> {
  return container.stats(oneShot ? { stream: false, 'one-shot': true } : { stream: false });
}

async function ownProject(
  docker: Docker,
  self: string,
  socketPath: string,
): Promise<{ project: string; service: string }> {
  let labels: Readonly<Record<string, string>> | null;
  try {
    if (!/^[a-f0-9]{12,64}$/.test(self)) throw notInCompose(`its host name, ${self}, is not a container's`);
    labels = (await docker.getContainer(self).inspect()).Config.Labels;
  } catch (error) {
    if (error instanceof TierbedError) throw error;
    if ((error as { statusCode?: number }).statusCode === 404)
      throw notInCompose(`the engine has no container ${self}`);
    throw new TierbedError('unavailable', `the Docker engine does not answer at ${socketPath}: ${messageOf(error)}`, {
      fix: 'Mount the socket there, and run the gate as root: compose.yaml does both.',
      cause: error,
    });
  }
  const project = labels?.[PROJECT_LABEL];
  const service = labels?.[SERVICE_LABEL];
  if (!project || !service) throw notInCompose('its container has no label of a Compose project');
  return { project, service };
}

function notInCompose(why: string): TierbedError {
  return new TierbedError('refused', `the gate does not know whose containers it is for: ${why}`, {
    fix: 'Start it with `docker compose up`, from a service without a `hostname`.',
  });
}
