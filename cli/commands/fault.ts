import { TierbedError } from '../../base/errors.js';
import type { ActiveFault, FaultRequest, FaultsView } from '../../services/orchestrator/server/api.js';
import { type ApiCommandFlags, apiCommand, connectTo } from '../api-command.js';
import type { RegisterCommand } from '../command.js';
import { json } from '../json.js';
import { oneOf } from '../names.js';
import { secondsOption } from '../numbers.js';
import { table } from '../table.js';

interface StartOptions extends ApiCommandFlags {
  readonly tier?: string;
  readonly link?: string;
  readonly for?: string;
  readonly with: readonly string[];
}

/** `tierbed fault`: puts faults in force on the testbed. */
export const register: RegisterCommand = (program) => {
  const fault = program
    .command('fault')
    .description('put faults in force on the testbed, and undo them')
    .addHelpText(
      'after',
      `
Examples:
  tierbed fault list                                       which there are, and which are in force
  tierbed fault start link-down --link edge-cloud --for 10s
  tierbed fault start slow-cpu --tier edge --with factor=4 --for 30s
  tierbed fault stop f3`,
    );
  apiCommand(fault, 'list', 'list the faults that there are and those in force').action(list);
  apiCommand(fault, 'start <name>', 'put a fault in force')
    .option('--tier <tier>', 'mobile, edge or cloud')
    .option('--link <link>', 'mobile-edge or edge-cloud')
    .option('--for <time>', 'undo it after this long, e.g. 10s (default: until it is stopped)')
    .option('--with <key=value>', "one of the fault's own options; may be repeated", collect, [])
    .action(start);
  apiCommand(fault, 'stop <id>', 'undo a fault').action(stop);
};

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

async function list(options: ApiCommandFlags): Promise<void> {
  const view = await (await connectTo(options)).faults();
  process.stdout.write(options.json ? json(view) : faultsTable(view));
}

async function start(name: string, options: StartOptions): Promise<void> {
  const spec = faultRequestOf(name, options);
  const client = await connectTo(options);
  const { known } = await client.faults();
  if (known.length > 0)
    oneOf(
      'fault',
      name,
      known.map((fault) => fault.name),
    );
  const active = await client.startFault(spec);
  process.stdout.write(options.json ? json(active) : `${active.id} is in force${until(active)}: ${describe(active)}\n`);
}

async function stop(id: string, options: ApiCommandFlags): Promise<void> {
  await (await connectTo(options)).stopFault(id);
  process.stdout.write(options.json ? json({ id, stopped: true }) : `${id} is undone\n`);
}

/** What the options stand for. @throws TierbedError `usage` */
export function faultRequestOf(name: string, options: Omit<StartOptions, keyof ApiCommandFlags>): FaultRequest {
  const { tier, link } = options;
  return {
    ...Object.fromEntries(options.with.map(keyValue)),
    fault: name,
    ...(tier !== undefined && { tier: oneOf('tier', tier, ['mobile', 'edge', 'cloud'] as const) }),
    ...(link !== undefined && { link: oneOf('link', link, ['mobile-edge', 'edge-cloud'] as const) }),
    ...(options.for !== undefined && { forS: secondsOption('--for', options.for) }),
  };
}

function keyValue(text: string): [string, string | number | boolean] {
  const [, key, value] = /^([A-Za-z]\w*)=(.+)$/.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    throw new TierbedError('usage', `--with ${text}: not an option of a fault`, { fix: 'Write it as KEY=VALUE.' });
  }
  if (value === 'true' || value === 'false') return [key, value === 'true'];
  return [key, /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value];
}

/** The faults there are, then those in force. */
export function faultsTable({ known, active }: FaultsView): string {
  const there = table(
    ['fault', 'about', 'options'],
    known.map(({ name, help, options }) => [name, help, Object.keys(propertiesOf(options)).join(', ')]),
  );
  if (active.length === 0) return `${there}none is in force\n`;
  const inForce = table(
    ['in force', 'fault', 'since', 'until'],
    active.map((fault) => [fault.id, describe(fault), fault.startedAt, fault.endsAt ?? 'it is stopped']),
  );
  return `${there}${inForce}`;
}

function propertiesOf(schema: object): object {
  return (schema as { readonly properties?: object }).properties ?? {};
}

function describe({ fault, options }: ActiveFault): string {
  return [fault, ...Object.entries(options).map(([key, value]) => `${key}=${value}`)].join(' ');
}

function until({ endsAt }: ActiveFault): string {
  return endsAt === undefined ? ' until it is stopped' : ` until ${endsAt}`;
}
