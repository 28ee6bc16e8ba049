import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TierbedError } from '../../../../base/errors.js';
import type { LinkSettings } from '../../../../services/link/types.js';
import { EventLog } from '../../../../services/orchestrator/events/event-log.js';
import { LinkLayers } from '../../../../services/orchestrator/events/link-layers.js';
import { FaultBoard } from '../../../../services/orchestrator/faults/fault-board.js';
import { FAULTS } from '../../../../services/orchestrator/faults/index.js';
import { openFaultBoard } from '../../../../services/orchestrator/faults/open-board.js';
import { noTierControl } from '../../../../services/orchestrator/runtimes/no-tier-control.js';
import type { Testbed, TierLimits } from '../../../../services/orchestrator/runtimes/runtime.js';

const direction = { rateMbps: 10, delayMs: 5, jitterMs: 0, queueBytes: 262_144 };
const LINKS: readonly LinkSettings[] = [
  { name: 'mobile-edge', up: direction, down: direction },
  { name: 'edge-cloud', up: direction, down: direction },
];

/** A board over a testbed that notes what is done to it. */
function board({ limited = false, driver = 'nfqueue', fail = (_what: string): boolean => false } = {}) {
  const notes: string[] = [];
  const note = (what: string): void => {
    if (fail(what)) throw new TierbedError('unavailable', `no ${what}`);
    notes.push(what);
  };
  let limits: TierLimits = { cpus: 1, memoryMiB: 512 };
  const tiers = {
    kill: async (tier: string) => note(`kill ${tier}`),
    start: async (tier: string) => note(`start ${tier}`),
    pause: async (tier: string) => note(`pause ${tier}`),
    resume: async (tier: string) => note(`resume ${tier}`),
    ...(limited
      ? {
          limits: async () => limits,
          setLimits: async (tier: string, change: Partial<TierLimits>) => {
            note(`limit ${tier} ${JSON.stringify(change)}`);
            limits = { ...limits, ...change };
            return limits;
          },
        }
      : { limits: noTierControl('local').limits, setLimits: noTierControl('local').setLimits }),
  };
  const node = (tier: string) => ({
    client: { setFault: async (name: string, options: unknown) => note(`${tier} ${name} ${JSON.stringify(options)}`) },
  });
  const nodes = { mobile: node('mobile'), edge: node('edge'), cloud: node('cloud') };
  const links = new LinkLayers({ set: async (link) => note(`${link.name} ${show(link)}`) }, LINKS);
  const log = new EventLog(() => 0);
  const testbed = { tiers, nodes, links: { driver: { name: driver } } } as unknown as Testbed;
  const redeploy = async (tier: string) => note(`deploy ${tier}`);
  return { notes, links, log, board: new FaultBoard({ testbed, links, redeploy, seed: 9 }, log) };
}

const show = ({ up, down, blocked = false }: LinkSettings): string =>
  `${blocked ? 'blocked' : 'open'} ${up.lossPct ?? 0}/${down.lossPct ?? 0} %`;

test('every fault has a sentence of help and says what it is about', () => {
  for (const fault of FAULTS) assert.match(fault.help, /^[A-Z].*\.$/, fault.name);
  assert.equal(new Set(FAULTS.map(({ name }) => name)).size, FAULTS.length);
});

test('links that cannot lose packets are not asked to', async () => {
  const { board: b } = board({ driver: 'proxy' });
  const loss = { fault: 'loss-burst', options: { link: 'mobile-edge', lossPct: 5 } };
  await assert.rejects(b.check(loss), { kind: 'refused', fix: /docker/ });
  await assert.rejects(b.start(loss), { kind: 'refused' });
});

test('a node that is killed is started and deployed to again', async () => {
  const { board: b, notes, log } = board();
  const { id } = await b.start({ fault: 'node-kill', options: { tier: 'edge' } });
  assert.equal(b.active()[0]?.id, id);
  assert.equal(log.during(Date.now(), Date.now()), 'node-kill edge');
  await Promise.all([b.stop(id), b.stop(id)]);
  assert.deepEqual(notes, ['kill edge', 'start edge', 'deploy edge']);
  assert.deepEqual(b.active(), []);
  assert.ok(b.history()[0]?.endedAt);
  await b.stop(id);
  await assert.rejects(b.stop('f9'), { kind: 'missing' });
});

test('faults on one link compose, and each is undone without the others', async () => {
  const { board: b, notes, links } = board();
  const down = await b.start({ fault: 'link-down', options: { link: 'mobile-edge' } });
  const loss = await b.start({ fault: 'loss-burst', options: { link: 'mobile-edge', direction: 'up', lossPct: 50 } });
  await links.change('mobile-edge', (link) => ({ ...link, down: { ...link.down, lossPct: 1 } }), 'changed', 'hand');
  await b.stop(down.id);
  await b.stop(loss.id);
  await links.restore();
  assert.deepEqual(notes, [
    'mobile-edge blocked 0/0 %',
    'mobile-edge blocked 50/0 %',
    'mobile-edge blocked 50/1 %',
    'mobile-edge open 50/1 %',
    'mobile-edge open 0/1 %',
    'mobile-edge open 0/0 %',
  ]);
  assert.deepEqual(links.inForce(), LINKS);
});

test('two faults that need the same are not in force together, and the reason is given', async () => {
  const { board: b, notes } = board();
  const pause = await b.start({ fault: 'node-pause', options: { tier: 'edge' } });
  const refused = { kind: 'refused', message: /clock-step edge is not possible while node-pause edge/, fix: /Stop f1/ };
  await assert.rejects(b.start({ fault: 'clock-step', options: { tier: 'edge', ms: 5 } }), refused);
  await b.start({ fault: 'clock-step', options: { tier: 'cloud', ms: 5 } });
  await b.start({ fault: 'slow-reader', options: { tier: 'cloud', pauseMs: 5 } });
  await assert.rejects(b.start({ fault: 'node-kill', options: { tier: 'cloud' } }), { kind: 'refused' });
  await b.stop(pause.id);
  await b.start({ fault: 'clock-step', options: { tier: 'edge', ms: 5 } });
  await b.stopAll();
  assert.deepEqual(b.active(), []);
  const undone = notes.filter((text) => text.endsWith('undefined'));
  assert.deepEqual(undone, ['edge clock-step undefined', 'cloud slow-reader undefined', 'cloud clock-step undefined']);
  const both = await Promise.allSettled([
    b.start({ fault: 'node-pause', options: { tier: 'edge' } }),
    b.start({ fault: 'node-kill', options: { tier: 'edge' } }),
  ]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
});

test('a fault that cannot be started leaves nothing', async () => {
  const { board: b, log, links } = board({ fail: (what) => what.startsWith('kill') || what.includes('blocked') });
  await assert.rejects(b.start({ fault: 'node-kill', options: { tier: 'edge' } }), { kind: 'unavailable' });
  await assert.rejects(b.start({ fault: 'link-down', options: { link: 'edge-cloud' } }), { kind: 'unavailable' });
  await assert.rejects(b.start({ fault: 'memory-squeeze', options: { tier: 'edge', memoryMiB: 64 } }), {
    kind: 'refused',
    fix: /docker/,
  });
  assert.deepEqual([b.active(), b.history()], [[], []]);
  assert.deepEqual(links.inForce(), LINKS);
  await sleep(2);
  assert.equal(log.during(Date.now(), Date.now()), '');
  await b.start({ fault: 'node-pause', options: { tier: 'edge' } });
});

test('what somebody holds is in the way of faults, and faults in the way of it', async () => {
  const { board: b } = board();
  const release = b.hold('edge paused', ['tier/edge'], 'Resume it.');
  b.hold('edge changed', ['tier/edge/cpu'], 'Set it back.')();
  const kill = { fault: 'node-kill', options: { tier: 'edge' } };
  await assert.rejects(b.start(kill), { kind: 'refused', message: /while edge paused is in force/, fix: 'Resume it.' });
  release();
  const { id } = await b.start(kill);
  assert.throws(() => b.hold('edge changed', ['tier/edge/cpu'], ''), { kind: 'refused', fix: `Stop ${id} first.` });
  await b.stopAll(true);
  assert.throws(() => b.hold('edge changed', ['tier/edge/cpu'], ''), {
    kind: 'refused',
    message: /not possible any more/,
  });
});

test('a fault that is being started when all is ended is undone too', async () => {
  const { board: b, notes } = board();
  const starting = b.start({ fault: 'node-kill', options: { tier: 'edge' } });
  await b.stopAll(true);
  await starting;
  assert.deepEqual([b.active(), notes], [[], ['kill edge', 'start edge', 'deploy edge']]);
  await assert.rejects(b.start({ fault: 'node-pause', options: { tier: 'edge' } }), { kind: 'refused' });
});

test('a fault ends by itself when its time is over, and what cannot be undone is told', async () => {
  const { board: b, notes } = board({ fail: (what) => what === 'start cloud' });
  await b.start({ fault: 'node-pause', options: { tier: 'edge' }, forS: 0.05 });
  const problem = new Promise<TierbedError>((resolve) => {
    b.onProblem = resolve;
  });
  const kill = await b.start({ fault: 'node-kill', options: { tier: 'cloud', downS: 0.05 } });
  assert.ok(kill.endsAt);
  assert.match((await problem).message, /node-kill cloud could not be undone: no start cloud/);
  for (let i = 0; b.active().length > 0 && i < 100; i++) await sleep(10);
  assert.ok(notes.includes('resume edge'));
  assert.match(b.history().find(({ id }) => id === kill.id)?.error ?? '', /no start cloud/);
});

test('a slow processor is a lower limit where there are limits, and standing still where there are none', async () => {
  const docker = board({ limited: true });
  const slow = await docker.board.start({ fault: 'slow-cpu', options: { tier: 'edge', factor: 4 } });
  await docker.board.stop(slow.id);
  assert.deepEqual(docker.notes, ['limit edge {"cpus":0.25}', 'limit edge {"cpus":1}']);
  const squeeze = { fault: 'memory-squeeze', options: { tier: 'edge', memoryMiB: 64 } };
  await docker.board.stop((await docker.board.start(squeeze)).id);
  assert.deepEqual(docker.notes.slice(2), ['limit edge {"memoryMiB":64}', 'limit edge {"memoryMiB":512}']);
  const local = board();
  const still = await local.board.start({ fault: 'slow-cpu', options: { tier: 'edge', factor: 2 } });
  await sleep(150);
  await local.board.stop(still.id);
  assert.ok(local.notes.length >= 4);
  assert.deepEqual([...new Set(local.notes)], ['pause edge', 'resume edge']);
  assert.equal(local.notes.at(-1), 'resume edge');
});

test('a testbed without a study has faults too, and nothing to deploy again', async () => {
  const sets: string[] = [];
  const links = { set: async (link: LinkSettings) => void sets.push(show(link)) };
  const tiers = { kill: async () => {}, start: async () => {} };
  const b = openFaultBoard({ links, tiers } as unknown as Testbed, LINKS);
  await b.start({ fault: 'link-down', options: { link: 'edge-cloud' } });
  await b.start({ fault: 'node-kill', options: { tier: 'edge' } });
  await b.stopAll();
  assert.deepEqual(sets, ['blocked 0/0 %', 'open 0/0 %']);
});

test('options are checked against what the fault takes', async () => {
  const { board: b } = board();
  const cases: [string, Record<string, unknown>, RegExp][] = [
    ['node-kil', { tier: 'edge' }, /no fault 'node-kil'; allowed: link-down/],
    ['node-kill', { tier: 'moon' }, /node-kill: tier: "moon" is not allowed/],
    ['node-kill', {}, /'tier' is missing/],
    ['node-kill', { tier: 'edge', forS: 3 }, /forS: unknown key; allowed: tier, downS/],
    ['loss-burst', { link: 'mobile-edge', lossPct: 101 }, /lossPct: must be <= 100/],
  ];
  for (const [fault, options, message] of cases) await assert.rejects(b.start({ fault, options }), { message });
});
