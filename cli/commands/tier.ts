import { TierbedError } from '../../base/errors.js';
import type { TierPatch, TierView } from '../../services/orchestrator/server/api.js';
import { type ApiCommandFlags, apiCommand, connectTo } from '../api-command.js';
import type { RegisterCommand } from '../command.js';
import { json } from '../json.js';
import { oneOf } from '../names.js';
import { numberOption } from '../numbers.js';
import { table } from '../table.js';
import { withProgress } from '../with-progress.js';

const TIERS = ['mobile', 'edge', 'cloud'] as const;

/** `tierbed tier`: shows and changes the tiers of the testbed. */
export const register: RegisterCommand = (program) => {
  const tier = program
    .command('tier')
    .description('show and change the tiers of the testbed')
    .addHelpText(
      'after',
      `
Examples:
  tierbed tier show
  tierbed tier set edge --cpus 0.25 --memory-mb 512
  tierbed tier pause edge && sleep 5 && tierbed tier resume edge
  tierbed tier kill cloud && tierbed tier start cloud     as a crash would end it`,
    );
  apiCommand(tier, 'show', 'show the tiers, their limits and what they use').action(show);
  apiCommand(tier, 'set <tier>', 'change what a tier may use, from now on')
    .option('--cpus <cores>', 'CPU quota in cores')
    .option('--memory-mb <MiB>', 'memory in MiB, as Docker counts')
    .action(set);
  const simple: Readonly<Record<string, readonly [string, TierPatch]>> = {
    pause: ["stop all of a node's threads where they are", { paused: true }],
    resume: ['let a paused node go on', { paused: false }],
    kill: ['end a node as a crash would', { running: false }],
    start: ['start a node that was killed', { running: true }],
  };
  for (const [name, [about, patch]] of Object.entries(simple)) {
    apiCommand(tier, `${name} <tier>`, about).action((which: string, options: ApiCommandFlags) =>
      change(which, patch, options),
    );
  }
};

async function show(options: ApiCommandFlags): Promise<void> {
  const tiers = await (await connectTo(options)).tiers();
  process.stdout.write(options.json ? json({ tiers }) : tiersTable(tiers));
}

async function set(name: string, options: ApiCommandFlags & { cpus?: string; memoryMb?: string }): Promise<void> {
  const { cpus, memoryMb } = options;
  const patch: TierPatch = {
    ...(cpus !== undefined && { cpus: numberOption('--cpus', cpus, { low: 0.01, high: 4096, unit: 'cores' }) }),
    ...(memoryMb !== undefined && {
      memoryMiB: numberOption('--memory-mb', memoryMb, { low: 64, high: 67_108_864, unit: 'MiB', whole: true }),
    }),
  };
  if (Object.keys(patch).length === 0) {
    throw new TierbedError('usage', 'nothing to set is named', { fix: 'Name --cpus, --memory-mb or both.' });
  }
  await change(name, patch, options);
}

async function change(name: string, patch: TierPatch, options: ApiCommandFlags): Promise<void> {
  const tier = oneOf('tier', name, TIERS);
  const client = await connectTo(options);
  const view = await withProgress(`changing ${tier}`, client.setTier(tier, patch));
  process.stdout.write(options.json ? json(view) : tiersTable([view]));
}

/** Tiers for people, one a row. */
export function tiersTable(tiers: readonly TierView[]): string {
  const rows = tiers.map(({ name, state, limits, usage }) => [
    name,
    state,
    limits ? `${limits.cpus} CPU` : 'not limited',
    usage?.cpus == null ? '' : `${usage.cpus.toFixed(2)} CPU`,
    limits ? `${limits.memoryMiB} MiB` : 'not limited',
    usage?.memoryMiB == null ? '' : `${Math.round(usage.memoryMiB)} MiB`,
  ]);
  return table(['tier', 'state', 'CPU limit', 'CPU use', 'memory limit', 'memory use'], rows);
}
