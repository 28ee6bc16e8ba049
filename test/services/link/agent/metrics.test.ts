import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentMetrics, retransmittedSegments } from '../../../../services/link/agent/metrics.js';
import { nowMs } from '../../../../services/link/clock.js';
import type { LinkSettings } from '../../../../services/link/types.js';

test('what is in force and what passed is told in base units, by link and direction', async () => {
  const direction = { rateMbps: 10, delayMs: 25, jitterMs: 2, lossPct: 0.5, queueBytes: 65_536 };
  const settings: LinkSettings = { name: 'edge-cloud', up: direction, down: direction, blocked: true };
  const registry = agentMetrics({
    tier: 'cloud',
    version: '1',
    driver: 'nfqueue',
    ready: () => true,
    inForce: () => [{ link: 'edge-cloud', direction: 'up', settings, sinceMs: nowMs() }],
    stats: async () => [
      {
        link: 'edge-cloud',
        direction: 'up',
        packets: 3,
        bytes: 4542,
        lostPackets: 2,
        droppedPackets: 1,
        queuedBytes: 9,
      },
    ],
  });
  for (let scrape = 0; scrape < 2; scrape++) {
    const text = await registry.metrics();
    for (const [name, value] of [
      ['rate_bytes_per_second', '1250000'],
      ['delay_seconds', '0.025'],
      ['jitter_seconds', '0.002'],
      ['loss_ratio', '0.005'],
      ['queue_limit_bytes', '65536'],
      ['blocked', '1'],
      ['packets_total', '3'],
      ['bytes_total', '4542'],
      ['lost_packets_total', '2'],
      ['dropped_packets_total', '1'],
      ['queued_bytes', '9'],
    ]) {
      const line = `tierbed_link_${name}{link="edge-cloud",direction="up",tier="cloud"} ${value}\n`;
      assert.ok(text.includes(line), `${line} in\n${text}`);
    }
  }
});

test('under a trace it is the step of now that is in force', async () => {
  const steps = [
    { atMs: 0, rateMbps: 8 },
    { atMs: 1e9, rateMbps: 1 },
  ];
  const traced = {
    delayMs: 1,
    jitterMs: 0,
    queueBytes: 65_536,
    trace: { kind: 'steps' as const, steps, lengthMs: 2e9 },
  };
  const settings: LinkSettings = { name: 'edge-cloud', up: traced, down: traced };
  const metrics = (sinceMs: number) =>
    agentMetrics({
      tier: 'cloud',
      version: '1',
      driver: 'netem',
      ready: () => true,
      inForce: () => [{ link: 'edge-cloud', direction: 'up', settings, sinceMs }],
      stats: async () => [],
    }).metrics();
  assert.match(await metrics(nowMs()), /tierbed_link_rate_bytes_per_second\{[^}]*\} 1000000\n/);
  assert.match(await metrics(nowMs() - 1.5e9), /tierbed_link_rate_bytes_per_second\{[^}]*\} 125000\n/);
});

test('segments sent again are read by name', () => {
  const snmp = 'Ip: A B\nIp: 1 2\nTcp: RtoAlgorithm InSegs RetransSegs InErrs\nTcp: 1 55 7 0\nUdp: X\nUdp: 3\n';
  assert.equal(retransmittedSegments(snmp), 7);
  assert.equal(retransmittedSegments(''), undefined);
});
