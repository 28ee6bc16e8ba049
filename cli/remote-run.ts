import { readFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import type { Summary } from '../analysis/summary.js';
import { TierbedError } from '../base/errors.js';
import type { Progress } from '../base/progress.js';
import {
  type ApiClient,
  connectApi,
  downloadResults,
  followStudy,
  isOver,
  uploadFiles,
} from '../services/api-client/index.js';
import { checkStudy, loadStudy, type PackedStudy, packStudy } from '../services/orchestrator/index.js';
import { lockFolder } from '../services/orchestrator/results/lock.js';
import { RESULT_FILES, ResultsFolder } from '../services/orchestrator/results/results-folder.js';
import type { StudyView } from '../services/orchestrator/server/api.js';
import type { StudyFile } from '../services/orchestrator/study/study.js';
import type { ApiFlags } from './api-options.js';
import { EventDisplay } from './event-display.js';
import { json } from './json.js';
import { createProgress } from './progress.js';
import { readRemote, studyDigest, writeRemote } from './remote-folder.js';
import { runReport } from './run-report.js';
import { stopSignal } from './stop-signal.js';

export interface RemoteRunOptions extends ApiFlags {
  readonly out?: string;
  readonly resume?: string;
  readonly runtime: string;
  readonly scale?: number;
  readonly detach?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** A folder that results go to, and who lets others use it again. */
interface Target {
  readonly path: string;
  close(): Promise<void>;
}

/** Has an orchestrator run a study, follows it, and brings its results here. */
export async function runRemote(path: string, options: RemoteRunOptions): Promise<void> {
  const { signal, dispose } = stopSignal();
  try {
    const progress = createProgress(process.stderr, { quiet: options.quiet === true });
    const file = await loadStudy(path, { scale: options.scale });
    await checkStudy(file, progress, signal);
    const packed = await packStudy(file, await readFile(path, 'utf8'), { progress, signal });
    const client = await connectApi(options, signal);
    if (options.detach) return await detach(client, file, packed, options, progress, signal);
    const { view, target } = await (options.resume === undefined
      ? begin(client, file, packed, options, progress, signal)
      : takeUp(client, packed, options.resume));
    try {
      await finish(client, view, target.path, path, options, progress, signal);
    } finally {
      await target.close();
    }
  } finally {
    dispose();
  }
}

async function send(
  client: ApiClient,
  file: StudyFile,
  packed: PackedStudy,
  progress: Progress,
  signal: AbortSignal,
): Promise<StudyView> {
  await uploadFiles(client, packed.files, progress, signal);
  const name =
    basename(file.path, extname(file.path))
      .replace(/[^A-Za-z0-9_-]/g, '-')
      .replace(/^[_-]+/, '') || 'study';
  const files = packed.files.map(({ path, sha256 }) => ({ path, sha256 }));
  return client.startStudy({ study: packed.text, name, files }, signal);
}

async function detach(
  client: ApiClient,
  file: StudyFile,
  packed: PackedStudy,
  options: RemoteRunOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const view = await send(client, file, packed, progress, signal);
  process.stdout.write(
    options.json
      ? json(view)
      : `study ${view.id} is ${view.state}\n  follow it:       tierbed study show ${view.id}\n  get its results: tierbed study results ${view.id}\n`,
  );
}

async function begin(
  client: ApiClient,
  file: StudyFile,
  packed: PackedStudy,
  { out }: RemoteRunOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<{ view: StudyView; target: Target }> {
  // A folder that cannot be used is to be known before anything is sent.
  const given = out === undefined ? undefined : await ResultsFolder.create(file.study.name, out);
  try {
    const view = await send(client, file, packed, progress, signal);
    const target = given ?? (await ResultsFolder.create(file.study.name));
    await writeRemote(target.path, { id: view.id, url: client.url, studySha256: studyDigest(packed) });
    return { view, target };
  } catch (error) {
    await given?.close();
    throw error;
  }
}

async function takeUp(
  client: ApiClient,
  packed: PackedStudy,
  folder: string,
): Promise<{ view: StudyView; target: Target }> {
  const remote = await readRemote(folder);
  if (!remote) {
    throw new TierbedError('missing', `${folder} does not say which study of an orchestrator it is of`, {
      fix: 'Finish it where it began: leave --runtime and --api out.',
    });
  }
  if (remote.studySha256 !== studyDigest(packed)) {
    throw new TierbedError(
      'refused',
      'the study, its scale or a file that it names is not the same as when the run began',
      {
        fix: 'Resume with the study and the --scale as they were, or start a new run.',
      },
    );
  }
  const lock = await lockFolder(folder);
  const target = { path: folder, close: () => lock.release() };
  try {
    const view = await client.study(remote.id);
    return { view: view.state === 'done' ? view : await client.resumeStudy(remote.id), target };
  } catch (error) {
    await target.close();
    throw error;
  }
}

/** Follows a study to its end, brings its results here and reports. */
async function finish(
  client: ApiClient,
  begun: StudyView,
  folder: string,
  study: string,
  options: RemoteRunOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const how = options.api === undefined ? '--runtime docker' : `--api ${options.api}`;
  const scale = options.scale === undefined ? '' : ` --scale ${options.scale}`;
  const goOn = `Finish it with: tierbed run ${study} ${how}${scale} --resume ${folder}`;
  const ended = await follow(client, begun, options.quiet === true, signal);
  // What is recorded is brought here however it ended; Ctrl-C asked for an end of the study, not of this.
  const bringing = new AbortController();
  await downloadResults(client, ended.id, folder, progress, bringing.signal);
  if (ended.state !== 'done') {
    const { kind, message } = ended.error ?? { kind: 'cancelled', message: 'the study was stopped' };
    const counted = ended.samples ? `${ended.samples.recorded} of ${ended.samples.planned}` : 'no';
    throw new TierbedError(kind, `${withoutPlace(message)}\n  ${counted} samples are recorded, and are in ${folder}`, {
      fix: fixOf(ended, goOn),
    });
  }
  const summary = JSON.parse(await readFile(join(folder, RESULT_FILES.summary), 'utf8')) as Summary;
  process.stdout.write(options.json ? json(summary) : await runReport(summary, folder));
}

/** The second line of an error of a run says where its samples are: on the orchestrator's side. */
function withoutPlace(message: string): string {
  return message.replace(/\n {2}\d+ of \d+ samples are recorded in .*$/, '');
}

/** The orchestrator's advice, with this command's way to go on. */
function fixOf({ id, error }: StudyView, goOn: string): string {
  const advice = error?.fix?.replace(/(Then )?[Ff]inish it with: tierbed study resume .*$/, '').trim() ?? '';
  return error?.kind === 'cancelled' || advice === ''
    ? `${goOn} (or: tierbed study resume ${id})`
    : `${advice.replace(/\.?$/, '.')} Then: ${goOn}`;
}

async function follow(client: ApiClient, begun: StudyView, quiet: boolean, signal: AbortSignal): Promise<StudyView> {
  if (isOver(begun)) return begun;
  const display = new EventDisplay(quiet);
  try {
    const events = followStudy(client, begun.id, {
      signal,
      onGone: () => display.say('the orchestrator does not answer: waiting until it is back'),
      onBack: () => display.say('the orchestrator is back'),
    });
    for (;;) {
      const { value, done } = await events.next();
      if (done) return value;
      display.show(value);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    display.say('stopping the study');
    return await stopped(client, begun.id);
  } finally {
    display.end();
  }
}

/** Stops a study, unless it was over just before. */
async function stopped(client: ApiClient, id: string): Promise<StudyView> {
  try {
    return await client.stopStudy(id);
  } catch (error) {
    const view = await client.study(id).catch(() => undefined);
    if (view && isOver(view)) return view;
    throw error;
  }
}
