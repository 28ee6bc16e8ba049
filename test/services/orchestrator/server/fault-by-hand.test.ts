import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { SampleRow } from '../../../../analysis/columns.js';
import { readSamples } from '../../../../analysis/samples-csv.js';
import type { Summary } from '../../../../analysis/summary.js';
import type { EventsFile } from '../../../../services/orchestrator/events/event-log.js';
import { writeTinyStudy } from '../tiny-study.js';
import { Harness } from './harness.js';

const work = mkdtempSync(join(tmpdir(), 'tierbed-fault-by-hand-'));
process.env.TIERBED_CACHE = join(work, 'cache');
after(() => rmSync(work, { recursive: true, force: true }));

const NAME = 'link-down mobile-edge';

test('a fault by hand while a study runs is in its results, and no sample under it counts as normal', async (t) => {
  const harness = await Harness.start(t);
  const path = await writeTinyStudy(join(work, 'study'), {
    ...{ recipes: { whole: [] }, placements: ['edge'], sessions: ['warm'], rounds: 20 },
    links: { 'mobile-edge': { rateMbps: 100, delayMs: 8 }, 'edge-cloud': { rateMbps: 100, delayMs: 8 } },
  });
  const { id } = await harness.submit(path);
  await harness.until(id, '5 samples', ({ samples }) => (samples?.recorded ?? 0) >= 5);
  // Nothing passes until it is undone, so that the study cannot end before.
  const request = { fault: 'link-down', link: 'mobile-edge' };
  const { status, body: fault } = await harness.call('POST', '/v1/faults', request);
  assert.equal(status, 201, JSON.stringify(fault));
  const { body: listed } = await harness.call('GET', '/v1/faults');
  assert.deepEqual(listed.active, [fault]);
  const { body: figures } = await harness.call('GET', '/metrics');
  assert.match(figures, /^tierbed_faults_in_force\{fault="link-down",target="mobile-edge"\} 1$/m);
  assert.equal((await harness.call('DELETE', `/v1/faults/${fault.id}`)).status, 204);
  await harness.until(id, 'the end', ({ state }) => state === 'done');

  const folder = join(harness.stateFolder, 'studies', id, 'results');
  const read = <T>(name: string): T => JSON.parse(readFileSync(join(folder, name), 'utf8')) as T;
  const [event, ...more] = read<EventsFile>('events.json').events;
  assert.deepEqual([event?.name, event?.kind, event?.by, more], [NAME, 'fault', 'hand', []]);
  assert.ok((event?.toUnixMs ?? 0) >= (event?.fromUnixMs ?? Number.POSITIVE_INFINITY), 'it has an end');

  const rows: SampleRow[] = [];
  for await (const row of readSamples(join(folder, 'samples.csv'))) rows.push(row);
  const under = rows.filter((row) => row.fault === NAME);
  assert.ok(under.length >= 1 && under.length <= rows.length - 5, `${under.length} of ${rows.length} were under it`);
  const summary = read<Summary>('summary.json');
  assert.deepEqual(summary.samples, { planned: 40, recorded: 40, failed: 0, underFault: under.length });
  assert.deepEqual(
    summary.faults.map(({ name, samples }) => [name, samples]),
    [[NAME, under.length]],
  );
  const [strategy] = summary.strategies;
  assert.equal((strategy?.n ?? 0) + (strategy?.failed ?? 0), 40 - under.length);
});
