import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TierbedError } from '../../base/errors.js';
import { cacheDir } from '../../base/paths.js';
import { ownNames, ownWorkload } from '../../workloads/own/index.js';
import { KEPT } from '../../workloads/own/kept-network.js';
import type { RegisterCommand } from '../command.js';
import { json } from '../json.js';
import { numberOption } from '../numbers.js';
import { ownRecipes } from '../own/recipes.js';
import { type OwnRecord, outside, RECORD_FILE, readRecord, type TrainedRecord } from '../own/record.js';
import { trainOwn } from '../own/train-own.js';
import { createProgress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';
import { table } from '../table.js';

interface TrainCommandOptions {
  readonly threads: string;
  readonly restate?: boolean;
  readonly out: string;
  readonly quiet?: boolean;
}

/** `tierbed own`: the workloads of the project's own, and what is kept of them. */
export const register: RegisterCommand = (program) => {
  const own = program.command('own').description("the project's own workloads: what they are worth, and training them");

  own
    .command('list')
    .description('list the networks and variants that are kept, with what they are worth')
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => {
      const record = await readRecord(KEPT);
      process.stdout.write(options.json ? json(record) : recordTable(record));
    });

  own
    .command('train')
    .description('train all of it again from nothing, and check that it is worth what is stated')
    .argument('[workload...]', `which: ${ownNames.join(', ')} (default: all)`)
    .option('--out <dir>', 'where to keep it', KEPT)
    .option('--threads <n>', 'threads; the same number makes the same weights, bit for bit', '2')
    .option('--restate', 'keep it though it is worth something else, and state that from now on')
    .option('--quiet', 'show no progress')
    .addHelpText(
      'after',
      `
Examples:
  tierbed own list
  tierbed own train                   teacher, student and every trained variant of both workloads
  tierbed own train text --restate    after a change of its generator or its recipes

Ctrl-C ends it; the next call goes on where it was. docs/own-workloads.md says what is trained, and how long it takes.`,
    )
    .action(train);
};

async function train(names: readonly string[], options: TrainCommandOptions): Promise<void> {
  const threads = numberOption('--threads', options.threads, { low: 1, high: 64, unit: 'threads', whole: true });
  const chosen = (names.length > 0 ? names : ownNames).map(ownWorkload);
  const progress = createProgress(process.stderr, { quiet: options.quiet === true });
  const { signal, dispose } = stopSignal(500);
  const work = join(cacheDir(), 'own-training');
  const out = join(work, 'out');
  await rm(out, { recursive: true, force: true });
  try {
    const recipes = await ownRecipes();
    const stated = await readRecord(options.out);
    const made: Record<string, OwnRecord[string]> = {};
    for (const own of chosen) {
      const done = (workload: string, of: string, record: TrainedRecord): void => {
        process.stdout.write(`${workload} ${of}: ${percent(record.accuracy)}, ${record.seconds} s\n`);
      };
      made[own.name] = await trainOwn(own, recipes, { work, out, threads, progress, signal, done });
    }
    const wrong = outside(stated, made);
    if (wrong.length > 0 && !options.restate) {
      throw new TierbedError('invalid', `not worth what is stated:\n  ${wrong.join('\n  ')}`, {
        fix: 'Find out why; or keep it all the same with --restate.',
      });
    }
    await keep(out, options.out, stated, made);
    await rm(work, { recursive: true, force: true });
    process.stdout.write(recordTable(made));
  } finally {
    dispose();
  }
}

/** Puts what was trained in the place of what was kept. Intervals stay as they are stated, where they are. */
async function keep(from: string, to: string, stated: OwnRecord, made: OwnRecord): Promise<void> {
  const keys = (record: OwnRecord): string[] =>
    Object.values(record).flatMap((each) => Object.values(each).flatMap(({ steps }) => steps));
  const record = { ...stated, ...made };
  const still = new Set(keys(record));
  for (const key of keys(stated)) {
    if (!still.has(key)) await rm(join(to, 'steps', key), { recursive: true, force: true });
  }
  await mkdir(to, { recursive: true });
  await cp(from, to, { recursive: true });
  await writeFile(join(to, RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`);
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function recordTable(record: OwnRecord): string {
  const rows = Object.entries(record).flatMap(([workload, records]) =>
    Object.entries(records).map(([name, { accuracy, interval, parameters, bytes, seconds }]) => [
      ...[workload, name, percent(accuracy), interval.map(percent).join(' to ')],
      ...[`${(parameters / 1e3).toFixed(0)} k`, `${(bytes / 1e3).toFixed(0)} kB`, `${seconds} s`],
    ]),
  );
  return table(['workload', 'model', 'accuracy', 'again within', 'parameters', 'file', 'training'], rows);
}
