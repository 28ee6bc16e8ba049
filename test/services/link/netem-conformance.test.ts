import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { netemDriver } from '../../../services/link/drivers/netem.js';
import { testsInVm, testsOf } from './vm.js';

const GUEST = new URL('./netem-guest.js', import.meta.url);

const launcher = process.env.TIERBED_NETEM_VM;
const lacking = await netemDriver.unavailable();
if (lacking === undefined) {
  await import(GUEST.href);
} else if (launcher) {
  test('netem, in a virtual machine whose kernel has it', { timeout: 500_000 }, async (t) => {
    const { code, output } = await testsInVm(launcher, fileURLToPath(GUEST));
    const tests = testsOf(output);
    for (const { name, ok, said } of tests) await t.test(name, () => assert.ok(ok, said));
    assert.equal(code, 0, output.slice(-4000));
    assert.ok(tests.length > 10, output.slice(-4000));
  });
} else {
  const need = 'set TIERBED_NETEM_VM to a program that runs a script in a machine whose kernel has netem';
  test('netem', { skip: process.env.CI ? false : `${lacking}; ${need}` }, () => assert.fail(`${lacking}; ${need}`));
}
