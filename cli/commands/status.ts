import { messageOf, TierbedError } from '../../base/errors.js';
import type { LinksView, StatusView, TierView } from '../../services/orchestrator/server/api.js';
import { type ApiFlags, addApiOptions } from '../api-options.js';
import type { RegisterCommand } from '../command.js';
import { composeConfig } from '../compose/config.js';
import { checkDocker } from '../compose/preflight.js';
import { composeServices, type ServiceState } from '../compose/services.js';
import { orchestratorUrl } from '../compose/testbed-api.js';
import { json } from '../json.js';
import { stopSignal } from '../stop-signal.js';
import { table } from '../table.js';
import { withProgress } from '../with-progress.js';
import { linksTable } from './link.js';
import { studiesTable } from './study.js';
import { tiersTable } from './tier.js';

interface Options extends ApiFlags {
  readonly json?: boolean;
}

interface Found {
  readonly services: readonly ServiceState[];
  readonly orchestrator: StatusView | null;
  readonly links: LinksView | null;
  readonly tiers: readonly TierView[] | null;
  /** Why something of the above is not known. */
  readonly notes: readonly string[];
}

/** `tierbed status`: how the testbed stands. */
export const register: RegisterCommand = (program) => {
  const command = program
    .command('status')
    .description('show the services of the testbed, its links and tiers, and the study that runs')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  tierbed status
  tierbed status --json | jq '.services[] | select(.health != "healthy")'
  tierbed status --api http://127.0.0.1:7070    of a 'tierbed serve'`,
    )
    .action(status);
  addApiOptions(command);
};

async function status(options: Options): Promise<void> {
  const { signal, dispose } = stopSignal();
  try {
    const found = await withProgress('looking at the testbed', look(options, signal));
    if (found.services.length === 0 && found.orchestrator === null) {
      throw new TierbedError('unavailable', `the testbed is not up: ${found.notes.join('; ')}`, {
        fix: 'Start it: tierbed up (in Docker), or tierbed serve (on this machine).',
      });
    }
    process.stdout.write(options.json ? json(found) : shown(found));
  } finally {
    dispose();
  }
}

async function look(options: Options, signal: AbortSignal): Promise<Found> {
  const { connectApi } = await import('../../services/api-client/index.js');
  const notes: string[] = [];
  const unless = async <T>(work: Promise<T>, what: string): Promise<T | null> =>
    work.catch((error: unknown) => {
      if (signal.aborted) throw error;
      notes.push(`${what}: ${messageOf(error)}`);
      return null;
    });
  const own = options.api === undefined && process.env.TIERBED_API === undefined;
  const docker = own ? await unless(lookAtDocker(signal), 'Docker') : null;
  const api = options.api ?? (docker?.services.length ? docker.url : undefined);
  const client = await unless(connectApi({ ...options, api }, signal), 'the orchestrator');
  return {
    services: docker?.services ?? [],
    orchestrator: client && (await unless(client.status(signal), 'the orchestrator')),
    links: client && (await unless(client.links(signal), 'links')),
    tiers: client && (await unless(client.tiers(signal), 'tiers')),
    notes,
  };
}

async function lookAtDocker(signal: AbortSignal): Promise<{ services: ServiceState[]; url: string | undefined }> {
  await checkDocker(signal);
  const services = await composeServices(signal);
  if (services.length === 0) return { services, url: undefined };
  return { services, url: orchestratorUrl(await composeConfig([], signal)) };
}

function shown({ services, orchestrator, links, tiers, notes }: Found): string {
  const parts: string[] = [];
  if (services.length > 0) {
    const rows = services.map(({ service, state, health, status: text }) => [service, state, health, text]);
    parts.push(table(['service', 'state', 'health', 'since'], rows));
  }
  if (orchestrator) {
    const { runtime, version, study, queued } = orchestrator;
    parts.push(`orchestrator ${version}, runtime ${runtime}, ${queued} studies waiting\n`);
    parts.push(study ? studiesTable([study]) : 'no study is running\n');
  }
  if (links) parts.push(linksTable(links));
  if (tiers) parts.push(tiersTable(tiers));
  parts.push(...notes.map((note) => `Note: ${note}\n`));
  return parts.join('\n');
}
