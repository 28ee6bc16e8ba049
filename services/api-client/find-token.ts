import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot, stateDir } from '../../base/paths.js';

/** Where `docker compose` finds the testbed. */
export const COMPOSE_FILE = join(packageRoot, 'compose.yaml');

const TOKEN_IN_CONTAINER = '/var/lib/tierbed/token';
const DOCKER_WITHIN_MS = 15_000;

/**
 * Tokens that may fit a service on this machine, one after the other: that of `tierbed serve`, which is a file away, then
 * that of the testbed in Docker. Nothing where there is none.
 */
export async function* localTokens(signal?: AbortSignal): AsyncGenerator<string> {
  const ofServe = await readFile(join(stateDir(), 'token'), 'utf8').catch(() => '');
  if (ofServe.trim() !== '') yield ofServe.trim();
  const ofDocker = await dockerToken(signal);
  if (ofDocker !== '') yield ofDocker;
}

async function dockerToken(signal: AbortSignal | undefined): Promise<string> {
  const command = ['compose', '-f', COMPOSE_FILE, 'exec', '-T', 'orchestrator', 'cat', TOKEN_IN_CONTAINER];
  try {
    const { stdout } = await promisify(execFile)('docker', command, { timeout: DOCKER_WITHIN_MS, signal });
    return stdout.trim();
  } catch {
    // No Docker, or no testbed in it: there is no token to be had there.
    return '';
  }
}
