import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { cacheDir, version } from '../../base/paths.js';
import { type HttpServer, startHttp } from '../health-server.js';
import { inferenceService } from '../rpc/inference.js';
import { nodeControlService } from '../rpc/node-control.js';
import { type RpcServer, startRpcServer } from '../rpc/server/server.js';
import type { CalibrationOrder } from './calibration-job.js';
import { type ThreadChoice, threadsHere } from './cgroup.js';
import { controlHandlers } from './control-handlers.js';
import { Deployments } from './deployments.js';
import { checkEngine, ENGINE_NAMES } from './engines/index.js';
import { describeEnvironment, type NodeEnvironment } from './environment.js';
import { NodeFaults } from './faults/index.js';
import { inferenceHandlers } from './inference-handlers.js';
import { NodeMetrics } from './metrics.js';
import { NextHops } from './next-hops.js';
import { Pipeline } from './pipeline.js';
import { WorkQueue } from './queue.js';
import { Store } from './store.js';
import { InferenceWorker } from './worker-client.js';

export interface NodeOptions {
  /** Name of the tier: `mobile`, `edge`, `cloud`... */
  readonly tier: string;
  /** 127.0.0.1 by default. */
  readonly host?: string;
  /** Where the data plane listens, when that is not where control and metrics do. */
  readonly dataHost?: string;
  /** 0 takes a free one; so do the others. 8001 by default, as Triton's. */
  readonly dataPort?: number;
  /** 8002 by default, as Triton's. */
  readonly metricsPort?: number;
  /** 8003 by default. */
  readonly controlPort?: number;
  /** Folder of models and items; shared by the nodes of a machine by default. */
  readonly storeDir?: string;
  /** Threads of a session; 0 or absent: from the CPU quota. */
  readonly threads?: number;
  /** `native` by default. */
  readonly engine?: string;
  /** Requests that may wait; 64 by default. */
  readonly queueLimit?: number;
  readonly maxMessageBytes?: number;
  readonly log?: Pick<Logger, 'info' | 'warn'>;
  /** Seams for tests. */
  readonly store?: Store;
  readonly worker?: InferenceWorker;
}

/** A node that answers. Addresses are host:port. */
export interface RunningNode {
  readonly tier: string;
  readonly dataAddress: string;
  readonly metricsAddress: string;
  readonly controlAddress: string;
  readonly deployments: Deployments;
  readonly store: Store;
  /** Takes no more requests, finishes what runs for at most `graceMs`, then lets everything go. */
  close(graceMs?: number): Promise<void>;
}

export const DEFAULT_PORTS = { data: 8001, metrics: 8002, control: 8003 } as const;
export const DEFAULT_QUEUE_LIMIT = 64;
const DEFAULT_GRACE_MS = 10_000;

/**
 * Starts a node: data plane, control plane and metrics, each on its own port, and one inference thread behind them.
 *
 * @throws TierbedError `unavailable` when a port is taken, `refused` when the store cannot be made, `invalid` for an
 *   engine that is not there; nothing is left running then
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { tier, host = '127.0.0.1', log } = options;
  const engine = options.engine ?? (ENGINE_NAMES[0] as string);
  checkEngine(engine);
  const threads = (): ThreadChoice => threadsHere(options.threads);
  const store = options.store ?? (await Store.open(options.storeDir ?? join(cacheDir(), 'store')));
  const queue = new WorkQueue(options.queueLimit ?? DEFAULT_QUEUE_LIMIT);
  const worker = options.worker ?? new InferenceWorker();
  worker.onDeath = (error) => {
    metrics.workerDied();
    log?.warn({ err: error }, 'the inference thread died');
  };
  let ready = true;
  const metrics = new NodeMetrics(
    {
      ...{ tier, version, engine },
      get threads() {
        return threads().threads;
      },
    },
    {
      queueLength: () => queue.length,
      deployments: () => deployments.list().length,
      sessions: () => deployments.sessions,
      ready: () => ready,
    },
  );
  worker.onLoad = (session, ns) => metrics.loaded(session, ns);
  const dataSockets = new Set<Socket>();
  const onSocket = (socket: Socket): void => {
    dataSockets.add(socket);
    socket.once('close', () => dataSockets.delete(socket));
  };
  const faults = new NodeFaults({ store, dataSockets });
  const deployments = new Deployments(store, worker, queue, new NextHops(metrics, onSocket), { engine, threads });
  const pipeline = new Pipeline(queue, worker);
  const environment = async (): Promise<NodeEnvironment> =>
    describeEnvironment(engine, await worker.call('version', engine), threads());

  const calibrate = (order: CalibrationOrder) => queue.run(() => worker.call('calibrate', order), { unbounded: true });

  let http: HttpServer | undefined;
  let data: RpcServer | undefined;
  let control: RpcServer | undefined;
  const limit = options.maxMessageBytes === undefined ? {} : { maxMessageBytes: options.maxMessageBytes };
  const stop = async (graceMs: number): Promise<void> => {
    ready = false;
    faults.clear();
    await Promise.all([data?.close(graceMs), control?.close(graceMs)]);
    deployments.close();
    await Promise.all([worker.stop(), http?.close()]);
  };
  try {
    http = await startHttp(host, options.metricsPort ?? DEFAULT_PORTS.metrics, metrics.registry, () => ready);
    data = await startRpcServer({
      host: options.dataHost ?? host,
      port: options.dataPort ?? DEFAULT_PORTS.data,
      services: [inferenceService(inferenceHandlers({ tier, deployments, pipeline, metrics, ready: () => ready }))],
      onSocket,
      ...limit,
    });
    const addresses = { data: data.address, metrics: http.address };
    control = await startRpcServer({
      host,
      port: options.controlPort ?? DEFAULT_PORTS.control,
      services: [
        nodeControlService(
          controlHandlers({ tier, store, deployments, pipeline, metrics, addresses, environment, calibrate, faults }),
        ),
      ],
    });
    log?.info({ ...addresses, control: control.address, engine, threads: threads() }, 'node is ready');
    let closing: Promise<void> | undefined;
    return {
      tier,
      dataAddress: data.address,
      metricsAddress: http.address,
      controlAddress: control.address,
      deployments,
      store,
      close: (graceMs = DEFAULT_GRACE_MS) => {
        closing ??= stop(graceMs);
        return closing;
      },
    };
  } catch (error) {
    await stop(0);
    throw error;
  }
}
