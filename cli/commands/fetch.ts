import { join } from 'node:path';
import Table from 'cli-table3';
import { TierbedError } from '../../base/errors.js';
import { cacheDir } from '../../base/paths.js';
import { CATALOGUE } from '../../workloads/fetch/catalogue.js';
import { catalogueEntry, type FetchedFile, fetchEntry } from '../../workloads/fetch/index.js';
import type { RegisterCommand } from '../command.js';
import { createProgress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';

interface Options {
  readonly list?: boolean;
  readonly mirror?: string;
  readonly out?: string;
  readonly json?: boolean;
}

/** `tierbed fetch`: public models and data from their official places, by pinned address and checksum. */
export const register: RegisterCommand = (program) => {
  program
    .command('fetch')
    .description('get named public models and data by pinned address and checksum')
    .argument('[names...]', 'what to get; --list shows what there is')
    .option('--list', 'list what there is, with sizes and licences, and get nothing')
    .option('--mirror <dir>', 'take the files from this folder, and never from the network')
    .option('--out <dir>', 'put them here, each in a folder of its name (default: fetched/ in the cache folder)')
    .option('--json', 'print what was got, or the list, as JSON')
    .addHelpText(
      'after',
      `
Examples:
  tierbed fetch --list
  tierbed fetch mnist-cnn mnist-test --out data
  tierbed fetch roberta-base --mirror /media/stick     offline, from a folder that 'fetch --out' filled elsewhere`,
    )
    .action(async (names: string[], options: Options) => {
      if (options.list) return list(options.json === true);
      if (names.length === 0) {
        throw new TierbedError('usage', 'nothing was named to fetch', {
          fix: "Name what to get, or see what there is with 'tierbed fetch --list'.",
        });
      }
      const entries = names.map(catalogueEntry);
      const stop = stopSignal();
      try {
        const files: FetchedFile[] = [];
        for (const entry of entries) {
          files.push(
            ...(await fetchEntry(entry, {
              out: options.out ?? join(cacheDir(), 'fetched'),
              mirror: options.mirror,
              progress: createProgress(),
              signal: stop.signal,
            })),
          );
        }
        process.stdout.write(options.json ? `${JSON.stringify(files, null, 2)}\n` : files.map(line).join(''));
      } finally {
        stop.dispose();
      }
    });
};

const line = ({ status, path }: FetchedFile): string => `${status.padEnd(10)}  ${path}\n`;

function list(json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(CATALOGUE, null, 2)}\n`);
    return;
  }
  const table = new Table({ head: ['name', 'kind', 'MB', 'licence', 'about'], style: { head: [], border: [] } });
  for (const { name, kind, files, licence, about } of CATALOGUE) {
    const known = files.every(({ bytes }) => bytes !== undefined);
    const megabytes = files.reduce((sum, { bytes = 0 }) => sum + bytes, 0) / 1e6;
    table.push([name, kind, known ? megabytes.toFixed(megabytes < 1 ? 2 : 0) : '', licence, about]);
  }
  process.stdout.write(`${table}\n`);
}
