import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silent } from '../../../../../base/progress.js';
import type { ServiceState } from '../../../../../services/orchestrator/runtimes/docker/gate.js';
import { bringBack, nextStep } from '../../../../../services/orchestrator/runtimes/docker/recovery.js';
import { FakeTestbed } from './fake-testbed.js';

const running = (service: string, changes: Partial<ServiceState> = {}): ServiceState => ({
  ...{ service, id: service, imageId: '', status: 'running', startedAt: '2026-01-01T00:00:05Z', exitCode: 0 },
  ...{ oomKilled: false, restarts: 0, health: 'healthy' },
  limits: { CpuPeriod: 0, CpuQuota: 0, Memory: 0, MemorySwap: 0 },
  ...changes,
});

function step(agent: Partial<ServiceState>, node: Partial<ServiceState>, agentOnly = false): string | undefined {
  const services = new Map([
    ['edge-link', running('edge-link', { startedAt: '2026-01-01T00:00:04Z', ...agent })],
    ['edge', running('edge', node)],
  ]);
  const next = nextStep('edge', services, agentOnly);
  return next && `${next.do} ${next.service}`;
}

test('first the agent, then its node, and a node that is older than its agent sits in a dead network', () => {
  assert.equal(step({}, {}), undefined);
  assert.equal(step({}, { status: 'exited' }), 'start edge');
  assert.equal(step({}, { status: 'restarting' }), 'wait edge');
  assert.equal(step({}, { status: 'paused' }), undefined);
  assert.equal(step({ status: 'exited' }, { status: 'exited' }), 'start edge-link');
  assert.equal(step({ status: 'restarting' }, {}), 'wait edge-link');
  assert.equal(step({ health: 'starting' }, { status: 'exited' }), 'wait edge-link');
  assert.equal(step({ health: undefined }, {}), undefined);
  assert.equal(step({ startedAt: '2026-01-01T00:00:06Z' }, {}), 'restart edge');
  assert.equal(step({}, { status: 'exited' }, true), undefined);
  assert.equal(step({ status: 'exited' }, { status: 'exited' }, true), 'start edge-link');
});

test('what is gone is brought back, what is down on purpose is not', async (t) => {
  const fake = await FakeTestbed.start(t);
  const known = await fake.gate.services();
  await fake.end('edge-link');
  await fake.end('cloud');
  await fake.end('mobile');
  const options = {
    ...{ gate: fake.gate, known, except: new Set(['mobile'] as const) },
    ...{ withinMs: 10_000, signal: new AbortController().signal, progress: silent },
  };
  const { restartedTiers, restartedAgents } = await bringBack(options);
  assert.deepEqual(fake.calls, ['start edge-link', 'start cloud', 'restart edge']);
  assert.deepEqual(restartedTiers, ['edge', 'cloud']);
  assert.deepEqual(restartedAgents, ['edge']);
});

test('what does not come back is named, and waiting can be stopped', async (t) => {
  const fake = await FakeTestbed.start(t);
  const known = await fake.gate.services();
  await fake.end('edge', { status: 'restarting' });
  const options = { gate: fake.gate, known, except: new Set<never>(), withinMs: 300, progress: silent };
  await assert.rejects(bringBack({ ...options, signal: new AbortController().signal }), {
    kind: 'unavailable',
    message: /^edge did not come back within 0\.3 s/,
  });
  await assert.rejects(bringBack({ ...options, withinMs: 60_000, signal: AbortSignal.timeout(100) }), {
    kind: 'cancelled',
  });
  fake.gateDown = true;
  await assert.rejects(bringBack({ ...options, signal: new AbortController().signal }), {
    message: /^the gate did not come back within 0\.3 s: the gate does not answer/,
  });
});
