// Runs every *.test.js beside this file in `node --test`, so that one command works on every supported Node. Those that
// bring the testbed up in Docker (*.docker.test.js) are run by run-docker.ts.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const filter = process.argv[2] ?? '';
const files = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js') && !name.endsWith('.docker.test.js') && name.includes(filter))
  .sort()
  .map((name) => join(here, name));
if (files.length === 0) throw new Error(`no test has '${filter}' in its name`);
const child = spawn(process.execPath, ['--enable-source-maps', '--test', '--test-concurrency=2', ...files], {
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
