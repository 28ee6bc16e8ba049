import type { DirectionSettings } from '../../services/link/types.js';
import type { LinkSettings, LinksView } from '../../services/orchestrator/server/api.js';
import { type ApiCommandFlags, apiCommand, connectTo } from '../api-command.js';
import type { RegisterCommand } from '../command.js';
import { json } from '../json.js';
import { type LinkFlags, linkPatchOf } from '../link-options.js';
import { oneOf } from '../names.js';
import { stopSignal } from '../stop-signal.js';
import { table } from '../table.js';
import { withProgress } from '../with-progress.js';

const LINKS = ['mobile-edge', 'edge-cloud'] as const;
const linkName = (name: string) => oneOf('link', name, LINKS);

/** `tierbed link`: shows, changes and proves the links of the testbed. */
export const register: RegisterCommand = (program) => {
  const link = program
    .command('link')
    .description('show, change and prove the links of the testbed')
    .addHelpText(
      'after',
      `
Links are mobile-edge and edge-cloud; up leads away from the user. What is not named stays as it is.

Examples:
  tierbed link show
  tierbed link set mobile-edge --rate-mbps 10 --delay-ms 25 --jitter-ms 3 --loss-pct 0.1 --direction up
  tierbed link set edge-cloud --preset 3g
  tierbed link set edge-cloud --rate-mbps unlimited
  tierbed link down edge-cloud && sleep 5 && tierbed link up edge-cloud
  tierbed link verify                              exit code 5 when a link is out of tolerance`,
    );
  apiCommand(link, 'show', 'show what the links are set to').action(show);
  apiCommand(link, 'set <link>', 'change a link from now on')
    .option('--direction <which>', 'up, down or both (default: both)')
    .option('--preset <name>', 'a preset of tiers/links.yaml; settings beside it go before')
    .option('--rate-mbps <rate>', '10^6 bit/s on the wire, or unlimited')
    .option('--delay-ms <ms>', 'one way')
    .option('--jitter-ms <ms>', 'standard deviation of the delay')
    .option('--distribution <shape>', 'of the jitter: normal, uniform, pareto or paretonormal')
    .option('--loss-pct <percent>', 'share of packets that get lost')
    .option('--loss-burst <packets>', 'mean number of packets lost in a row')
    .option('--queue-bytes <bytes>', 'wire bytes that may wait for the rate')
    .action(set);
  apiCommand(link, 'down <link>', 'let nothing pass, either way').action((name: string, options: ApiCommandFlags) =>
    block(name, true, options),
  );
  apiCommand(link, 'up <link>', 'let a link that is down pass again').action((name: string, options: ApiCommandFlags) =>
    block(name, false, options),
  );
  apiCommand(link, 'verify [links...]', 'measure the links against what they are set to')
    .option('--disturb', 'although a study is measuring: it changes its samples')
    .action(verify);
};

async function show(options: ApiCommandFlags): Promise<void> {
  const view = await (await connectTo(options)).links();
  process.stdout.write(options.json ? json(view) : linksTable(view));
}

async function set(name: string, options: ApiCommandFlags & LinkFlags): Promise<void> {
  const link = linkName(name);
  const patch = linkPatchOf(options);
  print(await (await connectTo(options)).setLink(link, patch), options);
}

async function block(name: string, blocked: boolean, options: ApiCommandFlags): Promise<void> {
  const link = linkName(name);
  print(await (await connectTo(options)).setLink(link, { blocked }), options);
}

function print(link: LinkSettings, options: ApiCommandFlags): void {
  process.stdout.write(options.json ? json(link) : linksTable({ driver: null, links: [link] }));
}

async function verify(
  names: readonly string[],
  options: ApiCommandFlags & { readonly disturb?: boolean },
): Promise<void> {
  const links = names.map(linkName);
  const { signal, dispose } = stopSignal();
  try {
    const client = await connectTo(options, signal);
    const request = { ...(options.disturb && { disturb: true }), ...(links.length > 0 && { links }) };
    const report = await withProgress('checking the links', client.verifyLinks(request, signal));
    const { linkTable } = await import('../../services/link/verify/verify.js');
    process.stdout.write(options.json ? json(report) : `${linkTable(report)}\n`);
    if (report.ok) return;
    const { EXIT_CODES } = await import('../../base/errors.js');
    process.stderr.write(
      'tierbed: links are out of tolerance\n  fix: Stop other work on this machine, or set links that it can keep up with.\n',
    );
    process.exitCode = EXIT_CODES.refused;
  } finally {
    dispose();
  }
}

/** The settings of links for people, a direction a row. */
export function linksTable({ driver, links }: LinksView): string {
  const rows = links.flatMap(({ name, up, down, blocked }) =>
    (
      [
        ['up', up],
        ['down', down],
      ] as const
    ).map(([direction, settings]) => [name, direction, ...directionCells(settings), blocked ? 'down' : 'passes']),
  );
  const shown = table(['link', 'direction', 'rate', 'delay', 'jitter', 'loss', 'queue', 'trace', 'state'], rows);
  return driver === null ? shown : `${shown}shaped by ${driver.name}: ${driver.why}\n`;
}

function directionCells(settings: DirectionSettings): string[] {
  const { rateMbps, delayMs, jitterMs, jitterDistribution, lossPct, lossBurstPackets, queueBytes, trace } = settings;
  const burst = lossBurstPackets === undefined ? '' : ` in bursts of ${lossBurstPackets}`;
  return [
    rateMbps ? `${rateMbps} Mbit/s` : 'unlimited',
    `${delayMs} ms`,
    `${jitterMs} ms${jitterDistribution ? ` ${jitterDistribution}` : ''}`,
    lossPct ? `${lossPct} %${burst}` : 'none',
    `${queueBytes} B`,
    trace ? trace.kind : '',
  ];
}
