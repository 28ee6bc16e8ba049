import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Ended, type Started, tierbed } from './serve.js';

/** What the fake program answers: for the first words of its arguments, an exit code and texts. */
export interface FakeAnswer {
  readonly code?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  /** It takes this long, unless it is interrupted. */
  readonly seconds?: number;
  /** What it answers from the second time on. */
  readonly next?: FakeAnswer;
}

/** Options of `docker compose` before its command, which are not part of what is asked. */
const SCRIPT = `#!/usr/bin/env node
const { readFileSync, appendFileSync, writeFileSync } = require('node:fs');
const here = __dirname;
process.on('SIGINT', () => { appendFileSync(here + '/calls.log', 'SIGINT\\n'); process.exit(130); });
const args = process.argv.slice(2);
appendFileSync(here + '/calls.log', args.join(' ') + '\\n');
const words = [];
for (let i = 0; i < args.length; i++) {
  if (args[i] === '-f' && words.length === 1 || args[i] === '--profile') i++;
  else words.push(args[i]);
}
const asked = words.join(' ');
const answers = JSON.parse(readFileSync(here + '/answers.json', 'utf8'));
const key = Object.keys(answers).filter((k) => asked.startsWith(k)).sort((a, b) => b.length - a.length)[0];
const answer = key === undefined ? {} : answers[key];
if (answer.next) writeFileSync(here + '/answers.json', JSON.stringify({ ...answers, [key]: answer.next }));
const end = () => {
  process.stdout.write(answer.stdout ?? '');
  process.stderr.write(answer.stderr ?? '', () => process.exit(answer.code ?? 0));
};
if (answer.seconds) setTimeout(end, answer.seconds * 1000); else end();
`;

/** Answers of a Docker that is well, with the testbed down. */
export const HEALTHY: Readonly<Record<string, FakeAnswer>> = {
  version: { stdout: '20.10.24\n' },
  info: { stdout: '64 274877906944\n' },
  'compose version': { stdout: '2.26.1\n' },
  'compose ps': { stdout: '' },
  'compose config': {
    stdout: JSON.stringify({ services: { orchestrator: { ports: [] }, edge: {}, 'edge-link': {} } }),
  },
};

/** A line of `docker compose ps`. */
export const container = (service: string, state = 'running', health = 'healthy'): string =>
  JSON.stringify({ Service: service, State: state, Health: health, Status: 'Up 3 minutes' });

/** What `docker compose ps` answers of a testbed that is up. */
export const UP = ['orchestrator', 'edge', 'edge-link'].map((name) => container(name)).join('\n');

/** The configuration with the orchestrator published on this port. */
export const published = (port: number): FakeAnswer => ({
  stdout: JSON.stringify({
    services: {
      orchestrator: { ports: [{ host_ip: '127.0.0.1', published: String(port) }] },
      edge: {},
      'edge-link': {},
    },
  }),
});

/** The `tierbed` command with the fake program on its PATH. */
export interface FakeDocker {
  start(...args: string[]): Started;
  run(...args: string[]): Promise<Ended>;
  /** What Docker was called with, and that it was interrupted. */
  calls(): string[];
}

let folders = 0;

/** @param more variables of the command's environment */
export function fakeDocker(
  work: string,
  answers: Readonly<Record<string, FakeAnswer>> = {},
  more: NodeJS.ProcessEnv = {},
): FakeDocker {
  const folder = join(work, `docker-${++folders}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'docker'), SCRIPT, { mode: 0o755 });
  writeFileSync(join(folder, 'calls.log'), '');
  writeFileSync(join(folder, 'answers.json'), JSON.stringify({ ...HEALTHY, ...answers }));
  const { TIERBED_API: _api, TIERBED_TOKEN: _token, ...clean } = process.env;
  const env = {
    ...clean,
    TIERBED_STATE: join(work, 'no-state'),
    PATH: [folder, dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter),
    ...more,
  };
  const start = (...args: string[]): Started => tierbed(args, { env, cwd: work });
  return {
    start,
    run: (...args) => start(...args).ended,
    calls: () => readFileSync(join(folder, 'calls.log'), 'utf8').split('\n').filter(Boolean),
  };
}

export async function untilCalled(docker: FakeDocker, pattern: RegExp): Promise<void> {
  for (let i = 0; i < 1200 && !docker.calls().some((call) => pattern.test(call)); i++) await delay(50);
  assert.ok(
    docker.calls().some((call) => pattern.test(call)),
    docker.calls().join('\n'),
  );
}
