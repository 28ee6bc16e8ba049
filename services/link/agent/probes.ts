import { randomUUID } from 'node:crypto';
import { TierbedError } from '../../../base/errors.js';
import type { OpenProbeResponse, ProbeDatagrams, RunProbeRequest, RunProbeResponse } from '../../rpc/link-agent.js';
import { type EndTask, ProbeEnd } from '../probe/end.js';
import { MIN_DATAGRAM_BYTES } from '../probe/link-probe.js';
import { PACKET_BYTES } from '../wire.js';
import type { AgentPlan, AgentTier } from './plan.js';

const MAX_PROBES = 8;
const IDLE_MS = 60_000;

interface Probing {
  readonly end: ProbeEnd;
  busy: number;
  usedMs: number;
}

/** The ends of measurements that are open on one tier; those that nobody uses any more are closed. */
export class Probes {
  readonly #plan: AgentPlan;
  readonly #open = new Map<string, Probing>();
  readonly #sweep: NodeJS.Timeout;

  constructor(plan: AgentPlan) {
    this.#plan = plan;
    this.#sweep = setInterval(() => this.#closeIdle(), IDLE_MS / 4).unref();
  }

  /** @throws TierbedError `missing` for a link that this tier has not, `exhausted` when too many are open */
  async open(link: string): Promise<OpenProbeResponse> {
    const at = this.#plan.data.find((data) => data.link === link);
    if (!at) throw new TierbedError('missing', `${this.#plan.tier} is at no link '${link}'`);
    if (this.#open.size >= MAX_PROBES) throw new TierbedError('exhausted', `${MAX_PROBES} probes are open already`);
    const end = await ProbeEnd.open(at.address);
    const id = randomUUID();
    this.#open.set(id, { end, busy: 0, usedMs: performance.now() });
    return { id, tcpPort: end.tcpPort, udpPort: end.udpPort };
  }

  /** @throws TierbedError `missing` for a probe that is not open, `invalid`, `unavailable` when nothing comes through */
  async run(request: RunProbeRequest): Promise<RunProbeResponse> {
    const probing = this.#open.get(request.id);
    if (!probing) throw new TierbedError('missing', `no probe ${request.id} is open`);
    const task = this.#task(request);
    probing.busy++;
    try {
      const { exchanges = [], arrivals = [] } = await probing.end.run(task);
      return {
        arrivals,
        exchanges: exchanges.map(({ upMs, downMs, roundTripMs, upTail, downTail }) => ({
          upMs,
          downMs,
          roundTripMs,
          upTailMs: upTail.ms,
          upTailBytes: upTail.bytes,
          downTailMs: downTail.ms,
          downTailBytes: downTail.bytes,
        })),
      };
    } finally {
      probing.busy--;
      probing.usedMs = performance.now();
    }
  }

  async close(id: string): Promise<void> {
    const probing = this.#open.get(id);
    this.#open.delete(id);
    await probing?.end.close();
  }

  async closeAll(): Promise<void> {
    clearInterval(this.#sweep);
    await Promise.all([...this.#open.keys()].map((id) => this.close(id)));
  }

  #task({ tier, port, exchange, send, echo, collect }: RunProbeRequest): EndTask {
    if (collect) return { kind: 'collect', run: collect.run };
    const host = tier === '' ? '127.0.0.1' : this.#plan.peers[tier as AgentTier];
    if (host === undefined) throw new TierbedError('missing', `${this.#plan.tier} reaches no tier '${tier}'`);
    const target = { host, port };
    if (exchange) return { kind: 'exchange', exercise: { ...exchange, host, port } };
    if (send) return { kind: 'send', target, run: checked(send) };
    if (echo) return { kind: 'echo', target, run: checked(echo) };
    throw new TierbedError('invalid', 'a probe was asked for nothing');
  }

  #closeIdle(): void {
    for (const [id, { busy, usedMs }] of this.#open) {
      if (busy === 0 && performance.now() - usedMs > IDLE_MS) void this.close(id);
    }
  }
}

function checked(run: ProbeDatagrams): ProbeDatagrams {
  if (run.wireBytes >= MIN_DATAGRAM_BYTES && run.wireBytes <= PACKET_BYTES && run.intervalMs > 0) return run;
  throw new TierbedError(
    'invalid',
    `a probe's datagrams cannot be of ${run.wireBytes} bytes, ${run.intervalMs} ms apart`,
  );
}
