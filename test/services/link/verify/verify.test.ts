import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { TierbedError } from '../../../../base/errors.js';
import { proxyDriver } from '../../../../services/link/drivers/proxy.js';
import type { DirectionSettings, LinkSettings, OpenLinks } from '../../../../services/link/types.js';
import {
  assertLinks,
  type LinkFigure,
  type LinkReport,
  linkTable,
  verifyLinks,
} from '../../../../services/link/verify/verify.js';

const base: DirectionSettings = { rateMbps: 40, delayMs: 5, jitterMs: 0, queueBytes: 65_536 };

function link(name: LinkSettings['name'], up: Partial<DirectionSettings> = {}, down = up): LinkSettings {
  return { name, up: { ...base, ...up }, down: { ...base, ...down } };
}

async function open(t: TestContext, links: LinkSettings[]): Promise<OpenLinks> {
  const opened = await proxyDriver.open(links, []);
  t.after(() => opened.close());
  return opened;
}

const find = (report: LinkReport, name: string, direction: string, figure: string): LinkFigure => {
  const found = report.figures.find((f) => f.link === name && f.direction === direction && f.figure === figure);
  assert.ok(found, `${name} ${direction} ${figure} was measured`);
  return found;
};

test('links that do not do what was set are refused, with the figures that are out', async (t) => {
  const links = await open(t, [link('mobile-edge'), link('edge-cloud', { rateMbps: 0, delayMs: 0 })]);
  // The way up is slower than was set, the way down later.
  const said = [link('mobile-edge', { rateMbps: 80 }, { delayMs: 2 }), link('edge-cloud', { rateMbps: 0, delayMs: 0 })];
  const report = await verifyLinks(links, said, { attempts: 2, bulkMs: 200 });
  assert.equal(report.ok, false);
  const rate = find(report, 'mobile-edge', 'up', 'rateMbps');
  assert.equal(rate.set, 80);
  assert.equal(rate.ok, false);
  assert.equal(rate.attempts, 2);
  assert.ok(rate.measured < 42 && rate.measured > 4, `${rate.measured} Mbit/s`);
  assert.equal(find(report, 'mobile-edge', 'down', 'delayMs').ok, false);
  assert.equal(find(report, 'mobile-edge', 'both', 'roundTripMs').ok, false);
  // What lies on one link shows on the chain over it.
  assert.equal(find(report, 'mobile-edge + edge-cloud', 'down', 'delayMs').ok, false);
  assert.equal(find(report, 'mobile-edge + edge-cloud', 'up', 'rateMbps').ok, false);
  assert.throws(
    () => assertLinks(report),
    (error) => {
      assert.ok(error instanceof TierbedError);
      assert.equal(error.kind, 'refused');
      assert.match(error.message, /mobile-edge +up +rateMbps +80\.000 +\d+\.\d+ +2\.400 +2 +OUT/);
      return true;
    },
  );
});

test('every link is measured both ways, and the chain of all; routes of the measurement are gone after it', async (t) => {
  const set = [link('mobile-edge', { rateMbps: 0 }), link('edge-cloud', { delayMs: 0, jitterMs: 1 }, {})];
  const links = await open(t, set);
  const steps: number[] = [];
  const progress = { start() {}, update: (done: number) => void steps.push(done), stop() {} };
  const report = await verifyLinks(links, set, { attempts: 1, bulkMs: 50, progress });
  const names = report.figures.map((f) => `${f.link}: ${f.direction} ${f.figure}`);
  assert.deepEqual(names.slice(0, 7), [
    'mobile-edge: up delayMs',
    'mobile-edge: down delayMs',
    'mobile-edge: both roundTripMs',
    'mobile-edge: up messageMs',
    'mobile-edge: down messageMs',
    'mobile-edge: up rateMbps',
    'mobile-edge: down rateMbps',
  ]);
  assert.ok(names.includes('edge-cloud: up jitterMs'));
  assert.ok(!names.includes('edge-cloud: down jitterMs'));
  const unlimited = find(report, 'mobile-edge', 'up', 'rateMbps');
  assert.equal(unlimited.set, null);
  assert.equal(unlimited.ok, true);
  assert.equal(find(report, 'mobile-edge + edge-cloud', 'up', 'rateMbps').set, 40);
  assert.equal(find(report, 'mobile-edge + edge-cloud', 'both', 'roundTripMs').set?.toFixed(1), '15.4');
  assert.deepEqual(
    steps,
    [0, 10, 20].flatMap((chain) => [0, 2, 4, 6, 8].map((step) => chain + step)),
  );
  assert.equal(links.addresses.size, 0);
});

test('a link that lets nothing through is an error, not a wait', async (t) => {
  const set = [link('mobile-edge')];
  const links = await open(t, set);
  const refused = assert.rejects(
    verifyLinks(links, set),
    (error) => error instanceof TierbedError && error.kind === 'unavailable',
  );
  await new Promise((resolve) => setTimeout(resolve, 150));
  await links.close();
  await refused;
});

test('settings that are wrong are refused before anything is measured', async (t) => {
  const links = await open(t, [link('mobile-edge')]);
  await assert.rejects(verifyLinks(links, [link('mobile-edge', { jitterMs: -1 })]), /mobile-edge\.up\.jitterMs/);
});

test('the table lines up, and a report in order passes', () => {
  const figure: LinkFigure = {
    link: 'mobile-edge',
    direction: 'up',
    figure: 'delayMs',
    set: 10,
    measured: 10.25,
    tolerance: 1,
    ok: true,
    attempts: 1,
  };
  const other: LinkFigure = { ...figure, direction: 'both', figure: 'rateMbps', set: null, measured: 4321.5 };
  const report: LinkReport = { ok: true, figures: [figure, other], maxAttempts: 3, tookMs: 1 };
  assert.equal(
    linkTable(report),
    [
      'link         direction  figure          set  measured  tolerance  tries',
      'mobile-edge  up         delayMs      10.000    10.250      1.000      1  ok',
      'mobile-edge  both       rateMbps  unlimited  4321.500                 1  ok',
    ].join('\n'),
  );
  assert.doesNotThrow(() => assertLinks(report));
});
