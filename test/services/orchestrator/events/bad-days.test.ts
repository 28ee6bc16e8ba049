import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SampleRow } from '../../../../analysis/columns.js';
import { readSamples } from '../../../../analysis/samples-csv.js';
import type { Summary } from '../../../../analysis/summary.js';
import { silent } from '../../../../base/progress.js';
import type { EventsFile } from '../../../../services/orchestrator/events/event-log.js';
import type { FaultSpec } from '../../../../services/orchestrator/faults/index.js';
import { loadStudy } from '../../../../services/orchestrator/index.js';
import { runStudy } from '../../../../services/orchestrator/run/run.js';
import type { RunObserver } from '../../../../services/orchestrator/run/run-observer.js';
import { local } from '../../../../services/orchestrator/runtimes/local.js';
import type { Runtime, Testbed } from '../../../../services/orchestrator/runtimes/runtime.js';
import { sumOfPartsNs } from '../../../analysis/rows.js';
import { TINY_RECIPES, writeTinyStudy } from '../tiny-study.js';

const work = await mkdtemp(join(tmpdir(), 'tierbed-bad-days-'));
after(() => rm(work, { recursive: true, force: true }));
process.env.TIERBED_CACHE = join(work, 'cache');

const skip = process.platform === 'linux' && existsSync('/proc/self/stat') ? false : 'needs signals and /proc';
const LINKS = { 'mobile-edge': { rateMbps: 100, delayMs: 8 }, 'edge-cloud': { rateMbps: 100, delayMs: 8 } };

/** A study of one strategy, warm, whose samples take about 20 ms each. */
const ONE = { recipes: { whole: [] }, placements: ['edge'], sessions: ['warm'], links: LINKS };

interface Ran {
  readonly summary: Summary;
  readonly rows: readonly SampleRow[];
  readonly events: EventsFile;
}

interface RanOptions {
  readonly observer?: RunObserver;
  readonly signal?: AbortSignal;
  readonly resume?: string;
  readonly runtime?: Runtime;
}

let count = 0;

async function ran(
  changes: Readonly<Record<string, unknown>>,
  { observer, signal, resume, runtime = local }: RanOptions = {},
): Promise<Ran & { readonly folder: string }> {
  const folder = resume ?? join(work, `run-${++count}`);
  const file = await loadStudy(await writeTinyStudy(join(work, `study-${count}`), { ...ONE, ...changes }));
  const { summary } = await runStudy(file, {
    ...(resume === undefined ? { out: folder } : { resume }),
    ...{ runtime, progress: silent, signal: signal ?? new AbortController().signal },
    ...(observer && { observer }),
  });
  return { summary, folder, ...(await resultsOf(folder)) };
}

async function resultsOf(folder: string): Promise<Pick<Ran, 'rows' | 'events'>> {
  const rows: SampleRow[] = [];
  for await (const row of readSamples(join(folder, 'samples.csv'))) rows.push(row);
  const events = JSON.parse(await readFile(join(folder, 'events.json'), 'utf8')) as EventsFile;
  return { rows, events };
}

/** What holds of every study, whatever happened in it. */
function assertWhole({ summary, rows }: Ran): void {
  assert.deepEqual(
    rows.map((row) => row.sample),
    Array.from({ length: summary.samples.planned }, (_, i) => i + 1),
    'every planned sample has exactly one row',
  );
  for (const row of rows) {
    if (row.status !== 'ok') continue;
    assert.equal(sumOfPartsNs(row), Math.round((row.endToEndMs as number) * 1e6), `the parts of sample ${row.sample}`);
    assert.ok((row.failoverMs as number) >= 0 && (row.otherMs as number) >= 0, `parts below 0 in ${row.sample}`);
  }
  const normal = rows.filter((row) => row.fault === '');
  const counted = summary.strategies.reduce((sum, s) => sum + s.n + s.failed, 0);
  assert.equal(counted, normal.length, 'no sample under a fault counts as normal, and every other one does');
  assert.equal(summary.samples.underFault, rows.length - normal.length);
  for (const row of normal) {
    assert.deepEqual([row.status, row.error, row.way, row.attempts], ['ok', '', 'direct', 0], `sample ${row.sample}`);
  }
  assert.deepEqual(summary.validity, { valid: true, reasons: [] });
}

/** Starts a fault when so many samples are recorded: a busy machine is not to decide what a test sees. */
function after10(spec: FaultSpec): RunObserver {
  const observer: RunObserver = {
    opened(_testbed, faults) {
      observer.recorded = (_row, n) => {
        if (n === 10) void faults.start(spec);
      };
    },
  };
  return observer;
}

const kill = (tier: string): RunObserver => after10({ fault: 'node-kill', options: { tier }, forS: 0.7 });

test('edge dies and nothing is done about it: samples fail while it is away, and no others', { skip }, async () => {
  const policy = { policy: 'fail', hopDeadlineMs: 20_000 };
  const run = await ran({ rounds: 90, onHopFailure: policy }, { observer: kill('edge') });
  assertWhole(run);
  const [fault] = run.summary.faults;
  assert.equal(fault?.name, 'node-kill edge');
  assert.ok((fault?.lastedS ?? 0) >= 0.7);
  const under = run.rows.filter((row) => row.fault === 'node-kill edge');
  assert.ok(under.some((row) => row.status === 'failed'));
  assert.equal(fault?.samples, under.length);
  assert.equal(fault?.failed, under.filter((row) => row.status === 'failed').length);
  const first = run.rows.findIndex((row) => row.fault !== '');
  const last = run.rows.findLastIndex((row) => row.fault !== '');
  assert.ok(first > 0 && last < run.rows.length - 1, 'there are normal samples before and after');
  assert.ok(run.rows.slice(first, last).every((row) => row.fault !== ''));
});

test('edge dies and is asked again until it is back: no sample fails, and answers say so', { skip }, async () => {
  const policy = { policy: 'retry', hopDeadlineMs: 20_000, retries: 100, backoffMs: 20, maxBackoffMs: 500 };
  const run = await ran({ rounds: 60, onHopFailure: policy }, { observer: kill('edge') });
  assertWhole(run);
  assert.ok(run.rows.every((row) => row.status === 'ok'));
  const retried = run.rows.filter((row) => row.way === 'retry');
  assert.ok(retried.length >= 1);
  for (const row of retried) {
    assert.ok((row.attempts as number) >= 1 && (row.failoverMs as number) > 0);
    assert.equal(row.fault, 'node-kill edge');
  }
  assert.equal(run.summary.faults[0]?.retried, retried.length);
  assert.equal(new Set(run.rows.filter((row) => row.item === '0.png').map((row) => row.outputSha256)).size, 1);
});

test('edge and cloud die and the node before them runs their stages: the same bytes', { skip }, async () => {
  const changes = {
    ...{ recipes: TINY_RECIPES, placements: ['edge', 'mobile-edge', 'edge-cloud', 'mobile-edge-cloud'], rounds: 60 },
    onHopFailure: { policy: 'fallback', hopDeadlineMs: 2_500 },
  };
  const observer: RunObserver = {
    opened(_testbed, faults) {
      let paused = false;
      observer.recorded = (row, n) => {
        if (n === 10) void faults.start({ fault: 'node-kill', options: { tier: 'edge' }, forS: 0.7 });
        if (paused || row.fault !== '' || n < 60) return;
        paused = true;
        void faults.start({ fault: 'node-pause', options: { tier: 'cloud' }, forS: 4 });
      };
    },
  };
  const run = await ran(changes, { observer });
  assertWhole(run);
  assert.ok(run.rows.every((row) => row.status === 'ok'));
  for (const item of ['0.png', '1.png']) {
    const digests = new Set(run.rows.filter((row) => row.item === item).map((row) => row.outputSha256));
    assert.equal(digests.size, 1, 'a fallback gives the bytes of the whole model');
  }
  const fellBack = run.rows.filter((row) => row.way === 'fallback');
  for (const placement of ['edge', 'mobile-edge', 'edge-cloud', 'mobile-edge-cloud']) {
    assert.ok(
      fellBack.some((row) => row.placement === placement),
      placement,
    );
  }
  // Where cloud alone is away, edge deals with it: the first hop is taken, the second is not.
  const atEdge = fellBack.filter((row) => row.fault === 'node-pause cloud');
  assert.ok(atEdge.length > 0);
  for (const row of atEdge) {
    assert.ok((row.hop1UpBytes as number) > 0 && row.hop2UpBytes === 0, `sample ${row.sample}`);
    assert.ok((row.failoverMs as number) >= 2_490);
  }
  const stages = fellBack.find((row) => row.placement === 'mobile-edge-cloud');
  assert.ok([0, 1, 2].every((stage) => typeof stages?.[`stage${stage}ComputeMs`] === 'number'));
});

test('cold sessions fall back to cold sessions', { skip }, async () => {
  const policy = { policy: 'fallback', hopDeadlineMs: 20_000 };
  const changes = { rounds: 100, sessions: ['cold'], onHopFailure: policy };
  const run = await ran(changes, { observer: kill('edge') });
  assertWhole(run);
  const fellBack = run.rows.filter((row) => row.way === 'fallback');
  assert.ok(fellBack.length > 0 && fellBack.every((row) => (row.loadMs as number) > 0));
});

test('mobile itself dies and comes back', { skip }, async () => {
  const run = await ran({ rounds: 60 }, { observer: kill('mobile') });
  assertWhole(run);
  assert.ok((run.summary.faults[0]?.failed ?? 0) > 0);
  assert.equal(run.rows.at(-1)?.status, 'ok');
});

test('a link changes and comes back as the timeline says; the study says what it did', { skip }, async () => {
  const run = await ran({
    rounds: 60,
    timeline: [
      { atS: 0.4, link: 'mobile-edge', set: { delayMs: 60 } },
      { atS: 0.8, link: 'mobile-edge', set: { delayMs: 100 }, direction: 'up' },
      { atS: 1.6, link: 'mobile-edge', restore: true },
      { atS: 3_000, link: 'edge-cloud', set: '3g' },
    ],
  });
  assertWhole(run);
  const changed = run.rows.filter((row) => row.fault === 'mobile-edge changed');
  assert.ok(changed.some((row) => (row.hop1UpMs as number) >= 59 && (row.hop1DownMs as number) >= 59));
  assert.ok(changed.some((row) => (row.hop1UpMs as number) >= 99));
  assert.ok(run.rows.every((row) => (row.hop1DownMs as number) < 99 || row.fault !== ''));
  assert.deepEqual(
    run.summary.faults.map(({ name }) => name),
    ['mobile-edge changed', 'mobile-edge changed'],
  );
  assert.ok(run.summary.faults.every(({ samples }) => samples > 0));
  assert.match(run.summary.notes.join('\n'), /over before what its timeline has at 3000 s/);
  const settings = run.events.links.map(({ settings: { name, up } }) => `${name} ${up.delayMs}`);
  assert.deepEqual(settings, ['mobile-edge 8', 'edge-cloud 8', 'mobile-edge 60', 'mobile-edge 100', 'mobile-edge 8']);
});

test('a run that is stopped in the middle of a timeline goes on in the middle of it', { skip }, async () => {
  const changes = {
    rounds: 60,
    timeline: [
      { atS: 0.2, link: 'mobile-edge', set: { delayMs: 40 } },
      { atS: 0.5, fault: 'node-kill', tier: 'edge', forS: 5 },
      { atS: 6, link: 'mobile-edge', restore: true },
    ],
    onHopFailure: { policy: 'fail', hopDeadlineMs: 20_000 },
  };
  const stop = new AbortController();
  const observer: RunObserver = {
    recorded(row) {
      if (String(row.fault).includes('node-kill')) stop.abort();
    },
  };
  await assert.rejects(ran(changes, { observer, signal: stop.signal }), { kind: 'cancelled' });
  const folder = join(work, `run-${count}`);
  const before = await resultsOf(folder);
  const run = await ran(changes, { resume: folder });
  assertWhole(run);
  assert.deepEqual(run.rows.slice(0, before.rows.length), before.rows);
  const [first, second] = run.events.runs;
  assert.equal(first?.beforeMs, 0);
  assert.ok((second?.beforeMs ?? 0) >= 500, 'the clock goes on where it was');
  const next = run.rows[before.rows.length];
  assert.match(String(next?.fault), /mobile-edge changed \+ node-kill edge/);
  const kills = run.events.events.filter(({ name }) => name === 'node-kill edge');
  assert.equal(kills.length, 2);
  const lastedMs = kills.map(({ fromUnixMs, toUnixMs = 0 }) => toUnixMs - fromUnixMs);
  assert.ok((lastedMs[0] as number) > 0 && (lastedMs[1] as number) >= 300);
  assert.equal(run.rows.at(-1)?.fault, '');
});

test('faults that a user starts count too, and so does a link that is set from outside', { skip }, async () => {
  const done: Promise<unknown>[] = [];
  const observer: RunObserver = {
    opened(testbed, faults) {
      observer.recorded = (_row, n) => {
        if (n === 10) done.push(faults.start({ fault: 'clock-step', options: { tier: 'edge', ms: 30 }, forS: 0.3 }));
        if (n === 100) done.push(testbed.links.set(SLOW));
      };
    },
  };
  const run = await ran({ rounds: 60 }, { observer });
  await Promise.all(done);
  assertWhole(run);
  const [step, link] = run.summary.faults;
  assert.equal(step?.name, 'clock-step edge');
  // One of the two directions is too fast by 30 ms, whichever way the clock went: every whole sample is caught.
  assert.ok((step?.impossible ?? 0) > 0, 'physics catches a clock that jumps');
  assert.equal(link?.name, 'mobile-edge changed');
  assert.ok((link?.samples ?? 0) > 0 && (link?.impossible ?? 0) === 0);
});

test('a node that somebody kills and starts is no lost testbed, and its samples are not normal', { skip }, async () => {
  const done: Promise<unknown>[] = [];
  const observer: RunObserver = {
    opened({ tiers }) {
      const killAndStart = async (): Promise<void> => {
        await tiers.kill('edge');
        assert.equal(await tiers.state('edge'), 'stopped');
        await sleep(700);
        await tiers.start('edge');
      };
      observer.recorded = (_row, n) => {
        if (n === 10) done.push(killAndStart());
      };
    },
  };
  const policy = { policy: 'fail', hopDeadlineMs: 20_000 };
  const run = await ran({ rounds: 90, onHopFailure: policy }, { observer });
  await Promise.all(done);
  assertWhole(run);
  const [killed] = run.summary.faults;
  assert.deepEqual([killed?.name, run.summary.faults.length], ['edge killed', 1]);
  assert.ok((killed?.lastedS ?? 0) >= 0.7 && (killed?.failed ?? 0) > 0);
  assert.equal(run.rows.at(-1)?.fault, '');
  const [event] = run.events.events;
  assert.deepEqual([event?.kind, event?.by], ['tier', 'hand']);
});

test('what somebody left changed is put back when the samples are measured', { skip }, async () => {
  let seen: Testbed | undefined;
  const done: Promise<unknown>[] = [];
  const late: Promise<unknown>[] = [];
  const observer: RunObserver = {
    opened(testbed, faults) {
      seen = testbed;
      observer.recorded = (_row, n) => {
        if (n === 10) done.push(testbed.tiers.pause('cloud'), faults.start(CLOCK));
      };
      observer.proved = () => {
        if (done.length === 0) return;
        late.push(testbed.tiers.pause('edge'), testbed.links.set(SLOW), faults.start(CLOCK));
        for (const change of late) change.catch(() => {});
      };
    },
  };
  const run = await ran({ rounds: 20 }, { observer });
  await Promise.all(done);
  assert.ok(seen);
  assertWhole(run);
  assert.deepEqual(run.summary.faults.map(({ name }) => name).sort(), ['clock-step mobile', 'cloud paused']);
  for (const { toUnixMs, fromUnixMs, by } of run.events.events) {
    assert.ok((toUnixMs ?? 0) > fromUnixMs, 'it was undone');
    assert.equal(by, 'hand');
  }
  // What comes when the links are proven again is not of the study any more.
  assert.equal(late.length, 3);
  for (const change of late) await assert.rejects(change, { kind: 'refused', message: /any more/ });
});

test('measuring the links meanwhile marks the samples that it disturbs', { skip }, async () => {
  const done: Promise<unknown>[] = [];
  const observer: RunObserver = {
    opened({ links }) {
      observer.recorded = (_row, n) => {
        if (n !== 10) return;
        const measure = async (): Promise<void> => {
          const probe = await links.probe(['mobile-edge']);
          await sleep(200);
          await probe.close();
        };
        done.push(measure());
      };
    },
  };
  const run = await ran({ rounds: 30 }, { observer });
  await Promise.all(done);
  assertWhole(run);
  const [measured] = run.summary.faults;
  assert.equal(measured?.name, 'mobile-edge measured');
  assert.ok((measured?.samples ?? 0) > 0 && run.rows.at(-1)?.fault === '');
});

const CLOCK: FaultSpec = { fault: 'clock-step', options: { tier: 'mobile', ms: 0.01 } };

const SLOW = {
  name: 'mobile-edge' as const,
  up: { rateMbps: 100, delayMs: 30, jitterMs: 0, queueBytes: 262_144 },
  down: { rateMbps: 100, delayMs: 30, jitterMs: 0, queueBytes: 262_144 },
};

test('links that are faster than they are said to be are found out by the samples', { skip }, async () => {
  const fast = { rateMbps: 100, delayMs: 1, jitterMs: 0, queueBytes: 262_144 };
  const cheating: Runtime = {
    ...local,
    open: (request, progress, signal) =>
      local.open(
        { ...request, links: request.links.map(({ name }) => ({ name, up: fast, down: fast })) },
        progress,
        signal,
      ),
  };
  // So slow, as they are said to be, that no sample of a busy machine is.
  const said = { 'mobile-edge': { rateMbps: 100, delayMs: 500 }, 'edge-cloud': { rateMbps: 100, delayMs: 8 } };
  const run = await ran({ rounds: 3, links: said }, { runtime: cheating });
  assert.equal(run.summary.validity.valid, false);
  const [reason] = run.summary.validity.reasons;
  assert.equal(reason?.code, 'physics');
  assert.match(reason?.message ?? '', /sample 1 was faster than it can be: hop1Up took \d+\.\d+ ms where 500\.\d+ ms/);
});

test('what this testbed cannot do is refused before anything is measured', { skip }, async () => {
  const squeeze = { atS: 1, fault: 'memory-squeeze', tier: 'edge', memoryMiB: 64 };
  await assert.rejects(ran({ timeline: [squeeze] }), {
    kind: 'refused',
    message: /the timeline at 1 s: .*cannot limit/,
  });
  assert.equal(existsSync(join(work, `run-${count}`, 'summary.json')), false);
});
