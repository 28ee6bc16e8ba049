import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { StudyView } from '../../services/orchestrator/server/api.js';
import { type ApiCommandFlags, apiCommand, connectTo } from '../api-command.js';
import type { RegisterCommand } from '../command.js';
import { json } from '../json.js';
import { createProgress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';
import { table } from '../table.js';
import { withProgress } from '../with-progress.js';

/** `tierbed study`: the studies of an orchestrator. */
export const register: RegisterCommand = (program) => {
  const study = program
    .command('study')
    .description('list, stop, resume and remove the studies of an orchestrator, and get their results')
    .addHelpText(
      'after',
      `
Examples:
  tierbed study list
  tierbed study show 20260102-030405-a1b2c3
  tierbed study stop 20260102-030405-a1b2c3        what is recorded stays
  tierbed study resume 20260102-030405-a1b2c3
  tierbed study results 20260102-030405-a1b2c3 --out results/mine
  tierbed study remove 20260102-030405-a1b2c3      with its results there`,
    );
  apiCommand(study, 'list', 'list the studies, newest first').action(list);
  apiCommand(study, 'show <id>', 'show how a study stands').action(show);
  apiCommand(study, 'stop <id>', 'stop a study; resume goes on with it').action(stop);
  apiCommand(study, 'resume <id>', 'finish a study that was stopped or failed').action(resume);
  apiCommand(study, 'results <id>', "get a study's result files")
    .option('--out <folder>', 'put them here (default: results/ID)')
    .action(results);
  apiCommand(study, 'remove <id>', 'remove a study that does not run, with its results on the orchestrator').action(
    remove,
  );
};

async function list(options: ApiCommandFlags): Promise<void> {
  const studies = await (await connectTo(options)).studies();
  process.stdout.write(
    options.json ? json({ studies }) : studies.length === 0 ? 'no studies\n' : studiesTable(studies),
  );
}

async function show(id: string, options: ApiCommandFlags): Promise<void> {
  print(await (await connectTo(options)).study(id), options);
}

async function stop(id: string, options: ApiCommandFlags): Promise<void> {
  const client = await connectTo(options);
  print(await withProgress('stopping the study', client.stopStudy(id)), options);
}

async function resume(id: string, options: ApiCommandFlags): Promise<void> {
  print(await (await connectTo(options)).resumeStudy(id), options);
}

async function results(id: string, options: ApiCommandFlags & { readonly out?: string }): Promise<void> {
  const { downloadResults } = await import('../../services/api-client/index.js');
  const { signal, dispose } = stopSignal();
  try {
    const client = await connectTo(options, signal);
    await client.study(id, signal);
    const folder = options.out ?? join('results', id);
    const { diskError } = await import('../../base/disk-error.js');
    await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      throw diskError(error, folder);
    });
    const files = await downloadResults(client, id, folder, createProgress(), signal);
    process.stdout.write(options.json ? json({ folder, files }) : `${folder}: ${files.join(', ') || 'no files yet'}\n`);
  } finally {
    dispose();
  }
}

async function remove(id: string, options: ApiCommandFlags): Promise<void> {
  await (await connectTo(options)).removeStudy(id);
  process.stdout.write(options.json ? json({ removed: id }) : `the study ${id} is removed\n`);
}

function print(view: StudyView, options: ApiCommandFlags): void {
  if (options.json) process.stdout.write(json(view));
  else process.stdout.write(`${studiesTable([view])}${errorLines(view)}`);
}

function errorLines({ error }: StudyView): string {
  if (!error) return '';
  return `${error.message}\n${error.fix === null ? '' : `  fix: ${error.fix}\n`}`;
}

/** Studies for people, one a row. */
export function studiesTable(studies: readonly StudyView[]): string {
  const rows = studies.map((study) => [
    study.id,
    study.name,
    study.position === null ? study.state : `queued, number ${study.position}`,
    study.samples === null ? '' : `${study.samples.recorded}/${study.samples.planned}`,
    study.step === null ? '' : stepText(study.step),
    study.createdAt.slice(0, 19).replace('T', ' '),
  ]);
  return table(['study', 'name', 'state', 'samples', 'step', 'created'], rows);
}

function stepText({ label, done, total }: NonNullable<StudyView['step']>): string {
  return total === null ? label : `${label} ${done}/${total}`;
}
