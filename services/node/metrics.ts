import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorKind } from '../../base/errors.js';
import { collectProcessMetrics } from '../metrics/process-metrics.js';
import { readGauge } from '../metrics/read-figures.js';
import type { HopRecord } from './hops.js';
import type { HopObserver } from './observed-client.js';
import { registerResourceMetrics } from './resource-metrics.js';

/** The parts of a request's time on this node, as the label `part` has them. */
const PARTS = {
  up: 'upNs',
  deserialise: 'deserialiseNs',
  preprocess: 'preprocessNs',
  queue: 'queueNs',
  handover: 'handoverNs',
  load: 'loadNs',
  decode: 'decodeNs',
  compute: 'computeNs',
  encode: 'encodeNs',
  serialise: 'serialiseNs',
  failover: 'failoverNs',
} as const satisfies Record<string, keyof HopRecord>;

/** 50 us to 13 s, in factors of two: from a queue that is empty to a large model's load. */
const SECONDS_BUCKETS = Array.from({ length: 19 }, (_, i) => 0.00005 * 2 ** i);

/** How a request, a sample or a call ended, as the label `status` has it. */
export type Outcome = 'ok' | ErrorKind;
const OUTCOMES = [
  'ok',
  'invalid',
  'missing',
  'refused',
  'unavailable',
  'exhausted',
  'timeout',
  'cancelled',
  'internal',
] as const satisfies readonly Outcome[];

/** What the node's queue, deployments and inference thread look like when they are asked. */
export interface Gauges {
  queueLength(): number;
  deployments(): number;
  sessions(): number;
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
export class NodeMetrics implements HopObserver {
  readonly registry = new Registry();
  readonly #requests: Counter<'status'>;
  readonly #parts: Histogram<'part'>;
  readonly #seconds: Histogram;
  readonly #received: Counter;
  readonly #sent: Counter;
  readonly #restarts: Counter;
  readonly #samples: Counter<'status'>;
  readonly #loads: Histogram<'session'>;
  readonly #hopRequests: Counter<'status'>;
  readonly #hopSeconds: Histogram;
  readonly #hopSent: Counter;
  readonly #hopReceived: Counter;

  constructor(info: NodeInfo, gauges: Gauges) {
    const registers = [this.registry];
    this.registry.setDefaultLabels({ tier: info.tier });
    collectProcessMetrics(this.registry);
    registerResourceMetrics(this.registry);
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
    this.#samples = new Counter({
      name: 'tierbed_started_samples_total',
      help: 'Samples that this node started, by outcome: ok, or the kind of error.',
      labelNames: ['status'],
      registers,
    });
    this.#loads = new Histogram({
      name: 'tierbed_model_load_seconds',
      help: 'Creating the session of a model, by session mode; a cold one is ended too.',
      labelNames: ['session'],
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#hopRequests = new Counter({
      name: 'tierbed_next_hop_requests_total',
      help: 'Requests sent on to the node of the next stage, by outcome: ok, or the kind of error.',
      labelNames: ['status'],
      registers,
    });
    this.#hopSeconds = new Histogram({
      name: 'tierbed_next_hop_seconds',
      help: 'From the sending of a request to the node of the next stage to its answer.',
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#hopSent = new Counter({
      name: 'tierbed_next_hop_sent_bytes_total',
      help: 'Message bytes of requests to the node of the next stage, without HTTP/2 framing.',
      registers,
    });
    this.#hopReceived = new Counter({
      name: 'tierbed_next_hop_received_bytes_total',
      help: 'Message bytes of answers of the node of the next stage, without HTTP/2 framing.',
      registers,
    });
    // There from the beginning, so that the first failure is an increase.
    for (const counter of [this.#requests, this.#samples, this.#hopRequests]) {
      for (const status of OUTCOMES) counter.inc({ status }, 0);
    }
    for (const session of ['warm', 'cold'] as const) this.#loads.zero({ session });
    for (const part of Object.keys(PARTS)) this.#parts.zero({ part: part as keyof typeof PARTS });
    readGauge(this.registry, 'tierbed_sessions', 'Sessions that are kept open.', gauges.sessions);
    readGauge(this.registry, 'tierbed_queue_requests', 'Requests that wait for the processor.', gauges.queueLength);
    readGauge(this.registry, 'tierbed_deployments', 'Names that the node answers to.', gauges.deployments);
    readGauge(this.registry, 'tierbed_ready', '1 while the node takes requests.', () => Number(gauges.ready()));
    readGauge(
      this.registry,
      'tierbed_threads',
      'Threads of an inference session, unless a deployment says otherwise.',
      () => Number(info.threads),
    );
    new Gauge({
      name: 'tierbed_build_info',
      help: 'Always 1; what runs here is in the labels.',
      labelNames: ['version', 'engine'],
      registers,
    }).set({ version: info.version, engine: info.engine }, 1);
  }

  /** Counts a request that is through. */
  request(status: Outcome, totalNs: number, hop: HopRecord): void {
    this.#requests.inc({ status });
    this.#seconds.observe(totalNs / 1e9);
    if (status === 'ok') this.#observeParts(hop);
  }

  /** Counts a sample that this node started, and what it did for it itself. */
  sample(status: Outcome, hop: HopRecord | undefined): void {
    this.#samples.inc({ status });
    if (status === 'ok' && hop) this.#observeParts(hop);
  }

  /** Counts a session that was created. */
  loaded(session: 'warm' | 'cold', ns: number): void {
    this.#loads.observe({ session }, ns / 1e9);
  }

  hopSent(bytes: number): void {
    this.#hopSent.inc(bytes);
  }

  hopEnded(status: Outcome, ns: number, receivedBytes: number): void {
    this.#hopRequests.inc({ status });
    this.#hopSeconds.observe(ns / 1e9);
    this.#hopReceived.inc(receivedBytes);
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

  #observeParts(hop: HopRecord): void {
    for (const [part, key] of Object.entries(PARTS)) if (hop[key] > 0) this.#parts.observe({ part }, hop[key] / 1e9);
  }
}
