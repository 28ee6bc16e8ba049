import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TierbedError } from '../../../../base/errors.js';
import { EventLog } from '../../../../services/orchestrator/events/event-log.js';
import { LinkLayers } from '../../../../services/orchestrator/events/link-layers.js';
import { TierChanges } from '../../../../services/orchestrator/events/tier-changes.js';
import { FaultBoard } from '../../../../services/orchestrator/faults/fault-board.js';
import type { Testbed, TierControl, TierLimits } from '../../../../services/orchestrator/runtimes/runtime.js';

/** Tiers that note what is done to them, and what the study has on record of it. */
function changes({ fail = (_what: string): boolean => false, forgets = false } = {}) {
  const notes: string[] = [];
  const note = (what: string): void => {
    if (fail(what)) throw new TierbedError('unavailable', `no ${what}`);
    notes.push(what);
  };
  let limits: TierLimits = { cpus: 1, memoryMiB: 512 };
  const tiers: TierControl = {
    state: async () => 'running',
    limits: async () => limits,
    setLimits: async (tier, change) => {
      if (forgets) limits = { ...limits, ...change };
      note(`limit ${tier} ${JSON.stringify(change)}`);
      limits = { ...limits, ...change };
      return limits;
    },
    kill: async (tier) => note(`kill ${tier}`),
    start: async (tier) => note(`start ${tier}`),
    pause: async (tier) => note(`pause ${tier}`),
    resume: async (tier) => note(`resume ${tier}`),
  };
  const log = new EventLog(() => 0);
  const redeploy = async (tier: string) => note(`deploy ${tier}`);
  const links = new LinkLayers({ set: async () => {} }, []);
  const board = new FaultBoard({ testbed: { tiers } as unknown as Testbed, links, redeploy, seed: 1 }, log);
  const all = new TierChanges({ tiers, log, board, redeploy });
  const events = (): string[] => log.all().map(({ name, toUnixMs }) => `${name}${toUnixMs ? ' over' : ''}`);
  return { all, control: all.control, notes, board, events, log };
}

test('a node that is killed and started by hand is deployed to again, and is an event meanwhile', async () => {
  const { control, notes, events, log } = changes();
  await control.kill('edge');
  assert.deepEqual(events(), ['edge killed']);
  await control.start('edge');
  assert.deepEqual(notes, ['kill edge', 'start edge', 'deploy edge']);
  assert.deepEqual(events(), ['edge killed over']);
  const [event] = log.all();
  assert.deepEqual([event?.kind, event?.by, event?.what], ['tier', 'hand', { running: false }]);
});

test('what is still changed at the end is put back', async () => {
  const { all, control, notes, events } = changes();
  await control.pause('mobile');
  await control.kill('edge');
  await control.setLimits('cloud', { cpus: 0.5 });
  await control.setLimits('cloud', { memoryMiB: 256 });
  notes.splice(0);
  await all.restore();
  assert.deepEqual(notes, ['limit cloud {"cpus":1,"memoryMiB":512}', 'start edge', 'deploy edge', 'resume mobile']);
  assert.deepEqual(events(), ['mobile paused over', 'edge killed over', 'cloud changed over', 'cloud changed over']);
  notes.splice(0);
  await all.restore();
  assert.deepEqual(notes, []);
});

test('limits that are what the study set again are no event any more', async () => {
  const { control, events, board } = changes();
  const slow = { fault: 'slow-cpu', options: { tier: 'edge', factor: 2 } };
  await control.setLimits('edge', { cpus: 0.25 });
  assert.deepEqual(events(), ['edge changed']);
  await assert.rejects(board.start(slow), { kind: 'refused', fix: /tierbed tier set edge --cpus 1$/ });
  await control.setLimits('edge', { cpus: 1.001 });
  assert.deepEqual(events(), ['edge changed over'], 'a quota is rounded');
  await board.start(slow);
  await assert.rejects(control.setLimits('edge', { cpus: 0.25 }), { kind: 'refused', fix: 'Stop f1 first.' });
});

test('a killed node is not paused any more, and a paused one can be killed', async () => {
  const { control, events, board } = changes();
  await control.pause('edge');
  await control.kill('edge');
  assert.deepEqual(events(), ['edge paused over', 'edge killed']);
  await assert.rejects(board.start({ fault: 'node-pause', options: { tier: 'edge' } }), {
    kind: 'refused',
    fix: /tierbed tier start edge/,
  });
  await control.start('edge');
  await board.start({ fault: 'node-kill', options: { tier: 'edge' } });
  for (const change of [control.start('edge'), control.resume('edge'), control.kill('edge')]) {
    await assert.rejects(change, { kind: 'refused', fix: /Stop f1/ });
  }
});

test('a change that fails is no event, unless it may be in force', async () => {
  const broken = changes({ fail: (what) => /kill|limit/.test(what) });
  await assert.rejects(broken.control.kill('edge'), { kind: 'unavailable' });
  await assert.rejects(broken.control.setLimits('edge', { cpus: 0.5 }), { kind: 'unavailable' });
  assert.deepEqual(broken.events(), ['edge killed over', 'edge changed over']);
  await broken.board.start({ fault: 'node-pause', options: { tier: 'edge' } });

  const half = changes({ fail: (what) => what.includes('0.5'), forgets: true });
  await assert.rejects(half.control.setLimits('edge', { cpus: 0.5 }), { kind: 'unavailable' });
  assert.deepEqual(half.events(), ['edge changed']);
  await half.all.restore();
  assert.deepEqual(half.events(), ['edge changed over']);
});

test('a node that cannot be deployed to stays an event, and can be started again', async () => {
  let broken = true;
  const { control, events, notes } = changes({ fail: (what) => broken && what === 'deploy edge' });
  await control.kill('edge');
  await assert.rejects(control.start('edge'), { kind: 'unavailable' });
  assert.deepEqual(events(), ['edge killed']);
  broken = false;
  await control.start('edge');
  assert.deepEqual(events(), ['edge killed over']);
  assert.deepEqual(notes, ['kill edge', 'start edge', 'deploy edge'], 'it runs already: only the deployments are made');
});
