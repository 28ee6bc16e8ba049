import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf, TierbedError } from '../../../base/errors.js';

/** Longer than `-w` waits for the lock. */
const TIMEOUT_MS = 15_000;
const LOCK_WAIT_S = 5;

export type Family = 'ip' | 'ip6';

/** The packet filter of this network namespace, through the first of its programs that works here. */
export interface Iptables {
  /** e.g. `iptables-legacy` */
  readonly program: string;
  /** Rules of a chain as the program prints them, e.g. `-A PREROUTING -i eth0 -j x`. Undefined if there is no such chain. */
  list(table: string, chain: string): Promise<readonly string[] | undefined>;
  /**
   * Puts lines in force, all at once or none. `:NAME - [0:0]` makes a chain, or empties it.
   *
   * @throws TierbedError `refused` with the program's words
   */
  commit(table: string, lines: readonly string[]): Promise<void>;
}

/**
 * Finds `iptables-legacy` or `iptables` (for IPv6: `ip6tables...`): the one that can list the mangle table. Legacy comes
 * first, because programs of both kinds see their own rules only, and older kernels have no other.
 *
 * @throws TierbedError `unavailable` saying what each of them answered
 */
export async function findIptables(family: Family = 'ip'): Promise<Iptables> {
  const failures: string[] = [];
  for (const program of [`${family}tables-legacy`, `${family}tables`]) {
    const answer = await run(program, ['-w', `${LOCK_WAIT_S}`, '-t', 'mangle', '-S', 'PREROUTING']);
    if (answer.code === 0) return iptables(program);
    failures.push(`${program}: ${answer.missing ? 'not installed' : answer.stderr}`);
  }
  throw new TierbedError('unavailable', `no program can set packet filter rules (${failures.join('; ')})`, {
    fix: 'install iptables, and give the process NET_ADMIN and NET_RAW',
  });
}

function iptables(program: string): Iptables {
  return {
    program,
    async list(table, chain) {
      const answer = await run(program, ['-w', `${LOCK_WAIT_S}`, '-t', table, '-S', chain]);
      if (answer.code !== 0) return undefined;
      return answer.stdout.split('\n').filter((line) => line !== '');
    },
    async commit(table, lines) {
      const input = `*${table}\n${lines.join('\n')}\nCOMMIT\n`;
      const restore = `${program}-restore`;
      const answer = await run(restore, ['-w', `${LOCK_WAIT_S}`, '--noflush'], input);
      if (answer.code === 0) return;
      throw new TierbedError(
        'refused',
        `${restore} refused rules: ${answer.missing ? 'not installed' : answer.stderr}`,
      );
    },
  };
}

interface Answer {
  readonly code: number;
  readonly missing: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, args: readonly string[], input = ''): Promise<Answer> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { env: environment(), timeout: TIMEOUT_MS, killSignal: 'SIGKILL' });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    // A program that ends without reading says why itself.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ code: -1, missing: error.code === 'ENOENT', stdout, stderr: messageOf(error) });
    });
    child.on('close', (code, signal) => {
      const words = stderr.trim().replaceAll(/\s*\n\s*/g, ' ');
      const why = signal ? `no answer in ${TIMEOUT_MS / 1000} s` : words || `exit code ${code}`;
      resolve({ code: code ?? -1, missing: false, stdout, stderr: why });
    });
  });
}

/** Legacy programs lock a file in /run, which a container with a read-only root cannot write. */
function environment(): NodeJS.ProcessEnv {
  const environment = { ...process.env, LC_ALL: 'C' };
  try {
    accessSync('/run', constants.W_OK);
    return environment;
  } catch {
    return { XTABLES_LOCKFILE: join(tmpdir(), 'xtables.lock'), ...environment };
  }
}
