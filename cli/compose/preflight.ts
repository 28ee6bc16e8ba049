import { createServer } from 'node:net';
import { TierbedError } from '../../base/errors.js';
import { loadTiers, TIER_NAMES } from '../../services/orchestrator/tiers/tiers.js';
import type { PublishedPort } from './config.js';
import { docker } from './docker.js';
import { explainDocker } from './explain.js';

/** Older ones lack what the testbed needs: cgroup v2 limits, `host-gateway`, JSON of `compose ps`. */
const LEAST_ENGINE = '20.10';
const LEAST_COMPOSE = '2.20';

/**
 * Looks whether Docker is there, may be used and is new enough.
 *
 * @throws TierbedError with the fix
 */
export async function checkDocker(signal: AbortSignal): Promise<void> {
  const engine = await docker(['version', '--format', '{{.Server.Version}}'], { signal });
  if (engine.code !== 0) throw explainDocker('docker version', engine.stderr || engine.stdout);
  const version = engine.stdout.trim();
  if (isOlder(version, LEAST_ENGINE)) {
    throw new TierbedError('refused', `the Docker engine is ${version}, and ${LEAST_ENGINE} or newer is needed`, {
      fix: 'Upgrade it: https://docs.docker.com/engine/install',
    });
  }
  const plugin = await docker(['compose', 'version', '--short'], { signal });
  if (plugin.code !== 0) {
    throw new TierbedError('missing', 'Docker has no Compose v2 (docker compose)', {
      fix: `Install the plugin, ${LEAST_COMPOSE} or newer: https://docs.docker.com/compose/install`,
    });
  }
  const composeVersion = plugin.stdout.trim().replace(/^v/, '');
  if (isOlder(composeVersion, LEAST_COMPOSE)) {
    throw new TierbedError('refused', `Docker Compose is ${composeVersion}, and ${LEAST_COMPOSE} or newer is needed`, {
      fix: 'Upgrade it: https://docs.docker.com/compose/install',
    });
  }
}

/** Whether one version is below another, by major and minor. What cannot be read is not. */
export function isOlder(version: string, least: string): boolean {
  const [major = Number.NaN, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const [leastMajor = 0, leastMinor = 0] = least.split('.').map(Number);
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}

/**
 * Looks whether the machine has what the tiers ask for.
 *
 * @throws TierbedError `refused` naming the tier or the sum, with the fix
 */
export async function checkRoom(signal: AbortSignal): Promise<void> {
  const { code, stdout } = await docker(['info', '--format', '{{.NCPU}} {{.MemTotal}}'], { signal });
  const [cores = 0, memoryBytes = 0] = stdout.trim().split(' ').map(Number);
  if (code !== 0 || !(cores > 0) || !(memoryBytes > 0)) return;
  const tiers = loadTiers();
  const anyway = 'choose other tiers for the study, or start all the same with --anyway.';
  for (const name of TIER_NAMES) {
    if (tiers[name].cpus <= cores) continue;
    throw new TierbedError('refused', `tiers/${name}.yaml asks for ${tiers[name].cpus} CPUs, and Docker has ${cores}`, {
      fix: `Lower cpus there, ${anyway}`,
    });
  }
  const wantedMiB = TIER_NAMES.reduce((sum, name) => sum + tiers[name].memoryMiB, 0);
  const thereMiB = Math.floor(memoryBytes / 1024 ** 2);
  if (wantedMiB <= thereMiB) return;
  throw new TierbedError('refused', `the tiers ask for ${wantedMiB} MiB of memory, and Docker has ${thereMiB}`, {
    fix: `Give Docker more, lower memoryMiB in tiers/*.yaml, ${anyway}`,
  });
}

/** Looks whether the ports can be taken. @throws TierbedError `refused` naming the port and what moves it */
export async function checkPorts(ports: readonly PublishedPort[]): Promise<void> {
  for (const { service, address, port, variable } of ports) {
    if (port === 0 || (await isFree(address, port))) continue;
    const move =
      variable === undefined
        ? 'Stop what uses it.'
        : `Stop what uses it, or move it: ${variable}=${port + 1} tierbed up`;
    throw new TierbedError('refused', `port ${port} of ${address}, for ${service}, is taken by another program`, {
      fix: move,
    });
  }
}

function isFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    // An address that is not here is Docker's to complain about.
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'EADDRINUSE'));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}
