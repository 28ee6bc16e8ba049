// Runs the tests of test/docker in `node --test`, one file after the other, on a testbed that they share: the first that
// needs it brings it up. Here it is taken down again, whatever happens. An argument picks the files whose name holds it.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './support/free-port.js';
import { sharedTestbed } from './support/shared-testbed.js';

const here = join(fileURLToPath(new URL('.', import.meta.url)), 'docker');
const filter = process.argv[2] ?? '';
const files = readdirSync(here)
  .filter((name) => name.endsWith('.test.js') && name.includes(filter))
  .sort()
  .map((name) => join(here, name));
if (files.length === 0) throw new Error(`no test in test/docker has '${filter}' in its name`);

process.env.TIERBED_DOCKER_TESTS = '1';
process.env.TIERBED_TEST_API_PORT ??= String(await freePort());
process.env.TIERBED_TEST_PROMETHEUS_PORT ??= String(await freePort());

const testbed = sharedTestbed();
let stopping: NodeJS.Signals | undefined;
let end = (_: NodeJS.Signals): void => {};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    stopping = signal;
    end(signal);
  });
}
// What a run before this one left, if it was killed.
await testbed.down();
let code = 1;
try {
  if (!stopping) code = await runTests();
} finally {
  await testbed.down().catch((error: unknown) => {
    console.error(`the testbed of the tests is not all gone: ${error instanceof Error ? error.message : error}`);
    code = 1;
  });
  await testbed.exec('docker', ['image', 'rm', '--force', testbed.env.TIERBED_IMAGE as string]).catch(() => {});
}
process.exit(stopping ? 130 : code);

/** In a process group of their own, so that all that the tests started ends with them before the testbed is taken down. */
function runTests(): Promise<number> {
  const args = ['--enable-source-maps', '--test', '--test-concurrency=1', ...files];
  const child = spawn(process.execPath, args, { stdio: 'inherit', detached: true });
  end = (signal) => {
    try {
      process.kill(-(child.pid as number), signal);
    } catch {
      // All of it has ended.
    }
  };
  return new Promise((resolve) => {
    child.on('exit', (status) => {
      end('SIGKILL');
      resolve(status ?? 1);
    });
  });
}
