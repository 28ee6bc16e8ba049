import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseDriver } from '../../../../services/link/agent/choose-driver.js';
import { agentPlan } from '../../../../services/link/agent/plan.js';
import { PacketShaping } from '../../../../services/link/agent/shaping.js';
import type { LinkName, LinkSettings } from '../../../../services/link/types.js';
import { FakeDriver } from './fake-driver.js';

function link(name: LinkName, upMs: number, downMs: number, more: Partial<LinkSettings> = {}): LinkSettings {
  const direction = (delayMs: number) => ({ delayMs, jitterMs: 0, queueBytes: 65_536 });
  return { name, up: direction(upMs), down: direction(downMs), ...more };
}

function shapingOf(driver: FakeDriver) {
  const shut: string[][] = [];
  const shaping = new PacketShaping(agentPlan('edge', '10.7'), driver, {
    interfaceName: (name) => (name === 'mobile-edge' ? 'eth1' : 'eth2'),
    shut: async (links) => void shut.push([...links]),
    segmentsAtOnce: async () => {},
  });
  return { shaping, shut };
}

test('an agent takes the directions that fall to it, and opens a link only once it is shaped', async () => {
  const driver = new FakeDriver('fake', 'ingress');
  const { shaping, shut } = shapingOf(driver);
  await shaping.configure([link('mobile-edge', 1, 2)]);
  assert.deepEqual(shut, [['edge-cloud']]);
  await shaping.configure([link('mobile-edge', 1, 2), link('edge-cloud', 3, 4)]);
  assert.deepEqual(shut.at(-1), []);
  assert.deepEqual(
    driver.told.map(({ interfaceName, settings }) => [interfaceName, settings.delayMs]),
    [
      ['eth1', 1],
      ['eth2', 4],
    ],
  );
  assert.deepEqual(
    shaping.inForce().map(({ link: name, direction }) => `${name}.${direction}`),
    ['mobile-edge.up', 'edge-cloud.down'],
  );
  await shaping.close();
  assert.deepEqual(driver.closed, ['eth1', 'eth2']);
});

test('what did not change is left alone, so that a trace goes on', async () => {
  const driver = new FakeDriver('fake', 'egress');
  const { shaping } = shapingOf(driver);
  await shaping.configure([link('mobile-edge', 1, 2), link('edge-cloud', 3, 4)]);
  const before = driver.told.length;
  await shaping.configure([link('mobile-edge', 9, 2), link('edge-cloud', 3, 4)]);
  assert.equal(driver.told.length, before, 'the way up of mobile-edge is shaped on mobile');
  await shaping.configure([link('mobile-edge', 9, 2, { blocked: true }), link('edge-cloud', 3, 4)]);
  assert.deepEqual(driver.told.at(-1), {
    interfaceName: 'eth1',
    settings: link('mobile-edge', 9, 2).down,
    blocked: true,
  });
});

test('a link whose settings cannot be put in force stays shut', async () => {
  const driver = new FakeDriver();
  const { shaping, shut } = shapingOf(driver);
  driver.failure = new Error('no such qdisc');
  await assert.rejects(shaping.configure([link('mobile-edge', 1, 2)]), /no such qdisc/);
  assert.deepEqual([shut, shaping.inForce()], [[], []]);
  driver.failure = undefined;
  await shaping.configure([link('mobile-edge', 1, 2)]);
  assert.deepEqual(shut, [['edge-cloud']]);
});

test('auto takes the best that works and says what is in the way of better ones; the proxy is the last resort', async () => {
  const [first, second] = [new FakeDriver('first'), new FakeDriver('second')];
  first.lacking = 'the kernel is too old';
  const chosen = await chooseDriver([first, second], 'auto');
  assert.equal(chosen.name, 'second');
  assert.match(chosen.why, /first.*the kernel is too old/);
  await assert.rejects(chooseDriver([first, second], 'first'), { kind: 'refused', message: /too old/ });
  await assert.rejects(chooseDriver([first, second], 'third'), { kind: 'usage' });
  second.lacking = 'no capability';
  const last = await chooseDriver([first, second], 'auto');
  assert.deepEqual([last.name, last.driver], ['proxy', undefined]);
  assert.match(last.why, /no capability/);
});
