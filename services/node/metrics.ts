import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorKind } from '../../base/errors.js';
import type { HopRecord } from './hops.js';

/** The parts of a request's time on this node, as the label `part` has them. */
const PARTS = {
  up: 'upNs',
  deserialise: 'deserialiseNs',
  preprocess: 'preprocessNs',
  queue: 'queueNs',
  handover: 'handoverNs',
  load: 'loadNs',
  compute: 'computeNs',
  serialise: 'serialiseNs',
  failover: 'failoverNs',
} as const satisfies Record<string, keyof HopRecord>;

/** 50 us to 13 s, in factors of two: from a queue that is empty to a large model's load. */
const SECONDS_BUCKETS = Array.from({ length: 19 }, (_, i) => 0.00005 * 2 ** i);

/** What the node's queue, deployments and inference thread look like when they are asked. */
export interface Gauges {
  queueLength(): number;
  deployments(): number;
  ready(): boolean;
}

export interface NodeInfo {
  readonly tier: string;
  readonly version: string;
  readonly engine: string;
  readonly threads: number;
}

/**
 * The node's figures for Prometheus; docs/metrics.md lists them. Labels are bounded: no deployment's, item's or caller's
 * name is ever one, since a study makes as many of those as it likes.
 */
export class NodeMetrics {
  readonly registry = new Registry();
  readonly #requests: Counter<'status'>;
  readonly #parts: Histogram<'part'>;
  readonly #seconds: Histogram;
  readonly #received: Counter;
  readonly #sent: Counter;
  readonly #restarts: Counter;

  constructor(info: NodeInfo, gauges: Gauges) {
    const registers = [this.registry];
    this.registry.setDefaultLabels({ tier: info.tier });
    collectDefaultMetrics({ register: this.registry });
    this.#requests = new Counter({
      name: 'tierbed_requests_total',
      help: 'Requests answered, by outcome: ok, or the kind of error.',
      labelNames: ['status'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'tierbed_request_seconds',
      help: 'From the arrival of a request to its answer, the nodes behind this one included.',
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#parts = new Histogram({
      name: 'tierbed_part_seconds',
      help: 'What this node did for a request, by part.',
      labelNames: ['part'],
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#received = new Counter({
      name: 'tierbed_received_bytes_total',
      help: 'Message bytes of inference requests taken, without HTTP/2 framing.',
      registers,
    });
    this.#sent = new Counter({
      name: 'tierbed_sent_bytes_total',
      help: 'Message bytes of inference answers given, without HTTP/2 framing.',
      registers,
    });
    this.#restarts = new Counter({
      name: 'tierbed_worker_deaths_total',
      help: 'Times that the inference thread died and was replaced.',
      registers,
    });
    gauge('tierbed_queue_requests', 'Requests that wait for the processor.', registers, gauges.queueLength);
    gauge('tierbed_deployments', 'Names that the node answers to.', registers, gauges.deployments);
    gauge('tierbed_ready', '1 while the node takes requests.', registers, () => Number(gauges.ready()));
    gauge('tierbed_threads', 'Threads of an inference session, unless a deployment says otherwise.', registers, () =>
      Number(info.threads),
    );
    new Gauge({
      name: 'tierbed_build_info',
      help: 'Always 1; what runs here is in the labels.',
      labelNames: ['version', 'engine'],
      registers,
    }).set({ version: info.version, engine: info.engine }, 1);
  }

  /** Counts a request that is through. */
  request(status: 'ok' | ErrorKind, totalNs: number, hop: HopRecord): void {
    this.#requests.inc({ status });
    this.#seconds.observe(totalNs / 1e9);
    if (status !== 'ok') return;
    for (const [part, key] of Object.entries(PARTS)) if (hop[key] > 0) this.#parts.observe({ part }, hop[key] / 1e9);
  }

  received(bytes: number): void {
    this.#received.inc(bytes);
  }

  sent(bytes: number): void {
    this.#sent.inc(bytes);
  }

  workerDied(): void {
    this.#restarts.inc();
  }
}

function gauge(name: string, help: string, registers: Registry[], read: () => number): void {
  new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(read());
    },
  });
}
