import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseInterfaceDriver, INTERFACE_DRIVERS } from '../../../services/link/index.js';
import type { InterfaceDriver } from '../../../services/link/interface-driver.js';

const driver = (name: string, unavailable: () => Promise<string | undefined>): InterfaceDriver => ({
  name,
  side: 'egress',
  unavailable,
  open: () => Promise.reject(new Error('not opened here')),
});
const best = driver('best', () => Promise.resolve('no module'));
const good = driver('good', () => Promise.resolve(undefined));
const broken = driver('broken', () => Promise.reject(new Error('it broke')));

test('auto takes the first that works, and says what is in the way of those before it', async () => {
  assert.deepEqual(await chooseInterfaceDriver('auto', [best, broken, good]), {
    driver: good,
    why: 'good: the best that works here; not best: no module; not broken: it broke',
  });
  assert.equal(
    (await chooseInterfaceDriver('auto', [good, best])).why,
    'good: the best of the drivers, and it works here',
  );
});

test('a name is that driver or none', async () => {
  assert.equal((await chooseInterfaceDriver('good', [best, good])).driver, good);
  const none = await chooseInterfaceDriver('best', [best, good]);
  assert.equal(none.driver, undefined);
  assert.match(none.why, /no interface driver works here; best: no module/);
  const unknown = await chooseInterfaceDriver('bets', [best, good]);
  assert.equal(unknown.driver, undefined);
  assert.match(unknown.why, /'bets'; there are auto, best, good/);
});

test('netem is preferred', () => {
  assert.equal(INTERFACE_DRIVERS[0]?.name, 'netem');
});
