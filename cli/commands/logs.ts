import { TierbedError } from '../../base/errors.js';
import type { RegisterCommand } from '../command.js';
import { composeConfig } from '../compose/config.js';
import { compose, type DockerOptions } from '../compose/docker.js';
import { explainDocker } from '../compose/explain.js';
import { checkDocker } from '../compose/preflight.js';
import { oneOf } from '../names.js';
import { numberOption } from '../numbers.js';
import { stopSignal } from '../stop-signal.js';

interface Options {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly json?: boolean;
}

/** `tierbed logs`: what the services of the testbed say. */
export const register: RegisterCommand = (program) => {
  program
    .command('logs')
    .description('show what the services of the testbed say')
    .argument('[service]', 'mobile, edge, cloud, mobile-link, orchestrator...; all of them when left out')
    .option('-f, --follow', 'go on until Ctrl-C')
    .option('--tail <lines>', 'that many of the last lines of each service')
    .option('--json', 'print one line of JSON for each: {"service","time","text"}')
    .addHelpText(
      'after',
      `
Examples:
  tierbed logs orchestrator -f
  tierbed logs edge-link --tail 50`,
    )
    .action(logs);
};

async function logs(service: string | undefined, options: Options): Promise<void> {
  const { signal, dispose } = stopSignal();
  try {
    const tail = options.tail;
    if (tail !== undefined) numberOption('--tail', tail, { low: 0, high: 1_000_000, unit: 'lines', whole: true });
    await checkDocker(signal);
    const { services } = await composeConfig(['--profile', '*'], signal);
    const named = service === undefined ? [] : [oneOf('service', service, services)];
    const args = [
      ...['--profile', '*', 'logs'],
      ...(options.follow ? ['--follow'] : []),
      ...(tail === undefined ? [] : ['--tail', tail]),
      ...(options.json ? ['--timestamps', '--no-color'] : []),
      ...named,
    ];
    const how: DockerOptions = options.json ? { onLine: printJson } : { passThrough: true };
    const { code, stderr, stdout } = await compose(args, { signal, ...how });
    if (code !== 0) throw explainDocker('docker compose logs', stderr || stdout || 'see above');
  } catch (error) {
    // The way to end --follow.
    if (options.follow && error instanceof TierbedError && error.kind === 'cancelled') return;
    throw error;
  } finally {
    dispose();
  }
}

function printJson(line: string): void {
  const entry = parseLogLine(line);
  if (entry) process.stdout.write(`${JSON.stringify(entry)}\n`);
}

/** A line of `docker compose logs --timestamps`: `SERVICE-1  | TIME TEXT`. */
export function parseLogLine(line: string): { service: string; time: string; text: string } | undefined {
  const [, name, time, text] = /^(\S+)\s+\| (\S+) ?(.*)$/.exec(line) ?? [];
  if (name === undefined || time === undefined) return undefined;
  return { service: name.replace(/^.*?([a-z]+(?:-link)?)-\d+$/, '$1'), time, text: text ?? '' };
}
