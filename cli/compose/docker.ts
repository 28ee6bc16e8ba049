import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { TierbedError } from '../../base/errors.js';
import { COMPOSE_FILE } from '../../services/api-client/find-token.js';
import { explainDocker } from './explain.js';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  /** The end of what was said, without what was answered. */
  readonly stderr: string;
}

export interface DockerOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with every line of either stream. */
  readonly onLine?: (line: string) => void;
  /** Variables beside those of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Both streams go where this command's go. */
  readonly passThrough?: boolean;
}

const KEPT_CHARS = 20_000;

/**
 * Runs `docker` with these arguments, as they are: no shell reads them.
 *
 * @throws TierbedError `missing` when there is no such program, `cancelled` when `signal` says so: it was asked to end,
 *   and has
 */
export async function docker(args: readonly string[], options: DockerOptions = {}): Promise<Ended> {
  const { signal, onLine, env, passThrough } = options;
  if (signal?.aborted) throw new TierbedError('cancelled', 'stopped');
  const child = spawn('docker', args, {
    stdio: ['ignore', passThrough ? 'inherit' : 'pipe', passThrough ? 'inherit' : 'pipe'],
    env: { ...process.env, ...env },
    // In a group of its own, so that Ctrl-C reaches it once, through here.
    detached: true,
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT_CHARS);
  });
  if (onLine) {
    for (const stream of [child.stdout, child.stderr])
      if (stream) createInterface({ input: stream }).on('line', onLine);
  }
  const stop = (): void => interrupt(child);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => reject(notThere(error)));
      child.once('close', (status, by) => resolve(status ?? (by === null ? 1 : 128)));
    });
    if (signal?.aborted) throw new TierbedError('cancelled', 'stopped');
    return { code, stdout, stderr };
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

function interrupt(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
  } catch {
    // It ended in the meantime.
  }
}

function notThere(error: NodeJS.ErrnoException): TierbedError {
  if (error.code !== 'ENOENT') return new TierbedError('unavailable', `docker cannot be run: ${error.message}`);
  return new TierbedError('missing', 'Docker is not installed: there is no `docker` on the PATH', {
    fix: 'Install Docker Engine 20.10 or newer with Compose 2.20 or newer (https://docs.docker.com/engine/install), or use --runtime local.',
  });
}

/** Runs `docker compose` on the testbed's file. */
export function compose(args: readonly string[], options: DockerOptions = {}): Promise<Ended> {
  return docker(['compose', '-f', COMPOSE_FILE, ...args], options);
}

/** As `compose`, and gives what it answered. @throws TierbedError that says why it failed, with the fix */
export async function composeAnswer(args: readonly string[], options: DockerOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await compose(args, options);
  if (code !== 0) throw explainDocker(`docker compose ${args[0] ?? ''}`, stderr || stdout);
  return stdout;
}
