import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

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
process.on('SIGINT', () => { appendFileSync(here + '/calls.log', 'SIGINT\\n'); process.exit(130); });
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

/** Writes the program into a folder, for the PATH. */
export function writeFakeDocker(folder: string, answers: Readonly<Record<string, FakeAnswer>> = {}): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'docker'), SCRIPT, { mode: 0o755 });
  writeFileSync(join(folder, 'calls.log'), '');
  writeFileSync(join(folder, 'answers.json'), JSON.stringify({ ...HEALTHY, ...answers }));
  return folder;
}
