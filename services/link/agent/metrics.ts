import { readFile } from 'node:fs/promises';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { LinkAgentLinkStats } from '../../rpc/link-agent.js';
import { nowMs } from '../clock.js';
import { TraceClock } from '../shaping/trace-clock.js';
import type { DirectionSettings, LinkSettings } from '../types.js';
import type { DirectionInForce } from './shaping.js';

/** Counters of TCP in this network namespace. */
const SNMP = '/proc/self/net/snmp';

/** What the agent's figures are read from when they are asked for. */
export interface AgentState {
  readonly tier: string;
  readonly version: string;
  readonly driver: string;
  ready(): boolean;
  inForce(): readonly DirectionInForce[];
  stats(): Promise<readonly LinkAgentLinkStats[]>;
}

/** What is in force in one direction, in base units. A rate of 0 is no limit. */
const SETTINGS: readonly { name: string; help: string; read(s: DirectionSettings, link: LinkSettings): number }[] = [
  {
    name: 'tierbed_link_rate_bytes_per_second',
    help: 'Rate in force, on the wire; 0: not limited.',
    read: (s) => (s.rateMbps ?? 0) * 125_000,
  },
  { name: 'tierbed_link_delay_seconds', help: 'One-way delay in force.', read: (s) => s.delayMs / 1000 },
  {
    name: 'tierbed_link_jitter_seconds',
    help: 'Standard deviation of the delay in force.',
    read: (s) => s.jitterMs / 1000,
  },
  { name: 'tierbed_link_loss_ratio', help: 'Share of packets lost, in force.', read: (s) => (s.lossPct ?? 0) / 100 },
  {
    name: 'tierbed_link_queue_limit_bytes',
    help: 'Bytes on the wire that may wait for the rate limiter.',
    read: (s) => s.queueBytes,
  },
  { name: 'tierbed_link_blocked', help: '1 while nothing passes.', read: (_, link) => Number(link.blocked ?? false) },
  {
    name: 'tierbed_link_trace_running',
    help: '1 while a trace changes what is in force.',
    read: (s) => Number(s.trace !== undefined),
  },
];

const COUNTS: readonly { name: string; help: string; read(stats: LinkAgentLinkStats): number }[] = [
  { name: 'tierbed_link_packets_total', help: 'Packets that passed.', read: (s) => s.packets },
  { name: 'tierbed_link_bytes_total', help: 'Bytes on the wire that passed.', read: (s) => s.bytes },
  {
    name: 'tierbed_link_lost_packets_total',
    help: 'Packets lost as the settings ask, or because the link is blocked.',
    read: (s) => s.lostPackets,
  },
  {
    name: 'tierbed_link_dropped_packets_total',
    help: 'Packets dropped because the queue was full.',
    read: (s) => s.droppedPackets,
  },
];

/** The agent's figures for Prometheus; docs/metrics.md lists them. Labels: tier, and link and direction where they matter. */
export function agentMetrics(state: AgentState): Registry {
  const registry = new Registry();
  const registers = [registry];
  const labelNames = ['link', 'direction'] as const;
  registry.setDefaultLabels({ tier: state.tier });
  collectDefaultMetrics({ register: registry });
  for (const { name, help, read } of SETTINGS) {
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { link, direction, settings, sinceMs } of state.inForce()) {
          const now = new TraceClock(settings[direction], sinceMs).at(nowMs()).settings;
          this.set({ link, direction }, read(now, settings));
        }
      },
    });
  }
  for (const { name, help, read } of COUNTS) {
    new Counter({
      name,
      help,
      labelNames,
      registers,
      async collect() {
        const all = await state.stats();
        this.reset();
        for (const stats of all) this.inc({ link: stats.link, direction: stats.direction }, read(stats));
      },
    });
  }
  new Gauge({
    name: 'tierbed_link_queued_bytes',
    help: 'Bytes on the wire that wait for the rate limiter now.',
    labelNames,
    registers,
    async collect() {
      for (const { link, direction, queuedBytes } of await state.stats()) this.set({ link, direction }, queuedBytes);
    },
  });
  new Counter({
    name: 'tierbed_tcp_retransmitted_segments_total',
    help: 'TCP segments sent again by this network namespace: the node and whatever else is in it.',
    registers,
    async collect() {
      const count = retransmittedSegments(await readFile(SNMP, 'utf8').catch(() => ''));
      this.reset();
      if (count !== undefined) this.inc(count);
    },
  });
  new Gauge({
    name: 'tierbed_ready',
    help: '1 while the interfaces are shaped or shut.',
    registers,
    collect() {
      this.set(Number(state.ready()));
    },
  });
  new Gauge({
    name: 'tierbed_build_info',
    help: 'Always 1; what runs here is in the labels.',
    labelNames: ['version', 'driver'],
    registers,
  }).set({ version: state.version, driver: state.driver }, 1);
  return registry;
}

/** `RetransSegs` of /proc/net/snmp, or undefined where it is not told. */
export function retransmittedSegments(snmp: string): number | undefined {
  const [names, values] = snmp.split('\n').filter((line) => line.startsWith('Tcp:'));
  const at = names?.split(' ').indexOf('RetransSegs') ?? -1;
  const value = Number(values?.split(' ')[at]);
  return at > 0 && Number.isFinite(value) ? value : undefined;
}
