import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf, TierbedError } from '../../../base/errors.js';
import { TABLE_NAME, type TcBatch } from './commands.js';

const TIMEOUT_MS = 10_000;

/** What iproute2 prints of `tc -s -j qdisc`, as far as it is read here. */
export interface QdiscReport {
  readonly kind: string;
  readonly handle: string;
  readonly dev: string;
  readonly root?: boolean;
  readonly bytes: number;
  readonly packets: number;
  readonly drops: number;
  readonly backlog: number;
}

export interface FilterReport {
  readonly pref: number;
}

export interface LinkReport {
  readonly ifindex: number;
  readonly ifname: string;
  readonly mtu: number;
  readonly gso_max_segs?: number;
  readonly ifalias?: string;
}

/** Runs lines of `tc`, in one process, up to the first that fails. @throws TierbedError `refused` with the kernel's words */
export async function tc(batch: TcBatch): Promise<void> {
  if (batch.lines.length === 0) return;
  if (!batch.table) {
    await run('tc', ['-batch', '-'], batch.lines);
    return;
  }
  // `tc` reads a distribution from a file of its library, and says where that is through the environment.
  const library = await mkdtemp(join(tmpdir(), 'tierbed-tc-'));
  try {
    await writeFile(join(library, `${TABLE_NAME}.dist`), `${batch.table.join('\n')}\n`);
    await run('tc', ['-batch', '-'], batch.lines, { TC_LIB_DIR: library });
  } finally {
    await rm(library, { recursive: true, force: true });
  }
}

/** Runs `ip`, giving what it prints. */
export function ip(...args: string[]): Promise<string> {
  return run('ip', args);
}

export async function qdiscs(interfaceName: string): Promise<QdiscReport[]> {
  return parsed(await run('tc', ['-s', '-j', 'qdisc', 'show', 'dev', interfaceName]));
}

/** Filters on what leaves by an interface that has a `clsact`. */
export async function egressFilters(interfaceName: string): Promise<FilterReport[]> {
  return parsed(await run('tc', ['-j', 'filter', 'show', 'dev', interfaceName, 'egress']));
}

export async function linkReport(interfaceName: string): Promise<LinkReport> {
  const [report] = parsed<LinkReport>(await ip('-j', '-d', 'link', 'show', 'dev', interfaceName));
  if (!report) throw new TierbedError('missing', `there is no network interface '${interfaceName}'`);
  return report;
}

/** Whether an interface is there. */
export async function linkExists(interfaceName: string): Promise<boolean> {
  return linkReport(interfaceName).then(
    () => true,
    (error: unknown) => {
      if (error instanceof TierbedError && error.kind === 'missing') return false;
      throw error;
    },
  );
}

function parsed<T>(text: string): T[] {
  return text.trim() === '' ? [] : (JSON.parse(text) as T[]);
}

function run(
  program: string,
  args: readonly string[],
  lines: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C', ...environment },
      timeout: TIMEOUT_MS,
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (data: Buffer) => out.push(data));
    child.stderr.on('data', (data: Buffer) => err.push(data));
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'ENOENT'
          ? new TierbedError('missing', `the program '${program}' is not there`, {
              fix: 'Install iproute2.',
              cause: error,
            })
          : new TierbedError('refused', `${program} could not run: ${messageOf(error)}`, { cause: error }),
      );
    });
    child.on('close', (code, signal) => {
      const words = Buffer.concat(err).toString('utf8').trim();
      if (code === 0) return resolve(Buffer.concat(out).toString('utf8'));
      const failed = /Command failed -:(\d+)/.exec(words)?.[1];
      const what = failed === undefined ? [program, ...args].join(' ') : `tc ${lines[Number(failed) - 1]}`;
      const reason = words.replace(/\s*Command failed -:\d+\s*/, '').replace(/\s+/g, ' ') || (signal ?? `exit ${code}`);
      reject(
        /does not exist|Cannot find device/.test(reason)
          ? new TierbedError('missing', `${what}: ${reason}`)
          : new TierbedError('refused', `${what}: ${reason}`),
      );
    });
    child.stdin.on('error', () => {}); // It ended before it had read everything: `close` says why.
    child.stdin.end(lines.map((line) => `${line}\n`).join(''));
  });
}
