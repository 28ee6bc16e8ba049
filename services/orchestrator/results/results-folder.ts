import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { diskError } from '../../../base/disk-error.js';
import { TierbedError } from '../../../base/errors.js';
import { type Lock, lockFolder } from './lock.js';

/** The files of a results folder; docs/results.md says what is in each. */
export const RESULT_FILES = {
  study: 'study.resolved.yaml',
  plan: 'plan.json',
  environment: 'environment.json',
  links: 'links.json',
  events: 'events.json',
  samples: 'samples.csv',
  parquet: 'samples.parquet',
  summary: 'summary.json',
} as const;

/** A results folder that this process alone writes to. */
export class ResultsFolder {
  readonly path: string;
  readonly #lock: Lock;

  private constructor(path: string, lock: Lock) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes a folder for a new run: `path`, or results/NAME-TIME with results/latest leading to it.
   *
   * @throws TierbedError `refused` when the folder is in use, holds a run already or cannot be written
   */
  static async create(name: string, path?: string): Promise<ResultsFolder> {
    try {
      if (path === undefined) return await ResultsFolder.#createDated(name);
      await mkdir(path, { recursive: true });
      return await ResultsFolder.#take(path);
    } catch (error) {
      throw diskError(error, path ?? 'results');
    }
  }

  /** Opens the folder of a run that is to be finished. @throws TierbedError `missing` when it holds none, `refused` when it is in use */
  static async resume(path: string): Promise<ResultsFolder> {
    const found = await readdir(path).catch(() => [] as string[]);
    if (!found.includes(RESULT_FILES.plan)) {
      throw new TierbedError('missing', `${path} holds no run: there is no ${RESULT_FILES.plan} in it`, {
        fix: 'Give --resume the folder of a run, e.g. results/latest.',
      });
    }
    return new ResultsFolder(path, await lockFolder(path));
  }

  static async #createDated(name: string): Promise<ResultsFolder> {
    await mkdir('results', { recursive: true });
    const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
    for (let suffix = 1; ; suffix++) {
      const path = join('results', suffix === 1 ? `${name}-${time}` : `${name}-${time}-${suffix}`);
      try {
        await mkdir(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
        throw error;
      }
      const folder = await ResultsFolder.#take(path);
      await pointLatestAt(path);
      return folder;
    }
  }

  static async #take(path: string): Promise<ResultsFolder> {
    const lock = await lockFolder(path);
    const used = (await readdir(path)).find((entry) => Object.values<string>(RESULT_FILES).includes(entry));
    if (used === undefined) return new ResultsFolder(path, lock);
    await lock.release();
    throw new TierbedError('refused', `${path} holds a run already (${used})`, {
      fix: `Finish it with --resume ${path}, or write to another folder with --out.`,
    });
  }

  file(name: keyof typeof RESULT_FILES): string {
    return join(this.path, RESULT_FILES[name]);
  }

  /** Writes a file whole or not at all. */
  async write(name: keyof typeof RESULT_FILES, content: string): Promise<void> {
    const path = this.file(name);
    const unfinished = `${path}.part`;
    try {
      await writeFile(unfinished, content);
      await rename(unfinished, path);
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => {});
      throw diskError(error, path);
    }
  }

  /** Writes JSON for people too. */
  async writeJson(name: keyof typeof RESULT_FILES, value: unknown): Promise<void> {
    await this.write(name, `${JSON.stringify(value, null, 2)}\n`);
  }

  /** The JSON of a file, or undefined when there is no such file. */
  async readJson(name: keyof typeof RESULT_FILES): Promise<unknown> {
    const text = await readFile(this.file(name), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as unknown);
  }

  /** Lets others use the folder. */
  async close(): Promise<void> {
    await this.#lock.release();
  }
}

/** Makes the symbolic link `latest` beside a folder lead to it. A real folder of that name is left alone. */
async function pointLatestAt(path: string): Promise<void> {
  const latest = join(dirname(path), 'latest');
  const fresh = `${latest}.${process.pid}`;
  await symlink(basename(path), fresh);
  await rename(fresh, latest).catch(() => rm(fresh, { force: true }));
}
