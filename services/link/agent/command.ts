import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { messageOf, TierbedError } from '../../../base/errors.js';

/** How long a program that sets up the network may take. */
const PATIENCE_MS = 20_000;

/**
 * Runs a program and gives what it printed.
 *
 * @throws TierbedError `missing` when there is no such program, `refused` with its own words when it fails
 */
export async function command(program: string, args: readonly string[], input = ''): Promise<string> {
  const child = spawn(program, [...args], { stdio: ['pipe', 'pipe', 'pipe'], timeout: PATIENCE_MS });
  const printed = { out: '', error: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed.error += text;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  let status: readonly [number | null, NodeJS.Signals | null];
  try {
    status = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  } catch (error) {
    throw new TierbedError('missing', `cannot run ${program}: ${messageOf(error)}`, {
      fix: 'Install iproute2 and iptables.',
      cause: error,
    });
  }
  const [code, signal] = status;
  if (code === 0) return printed.out;
  const why = printed.error.trim() || (signal ? `ended by ${signal}` : `exit code ${code}`);
  throw new TierbedError('refused', `${program} ${args.join(' ')}: ${why}`);
}
