import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../../../base/disk-error.js';
import { messageOf, TierbedError } from '../../../base/errors.js';
import type { ApiError, SampleCount, StudyState } from './api.js';

/** What is kept of a study while nothing runs: a file in its folder. */
export interface StudyRecord {
  readonly id: string;
  readonly name: string;
  /** The study's file in its source folder. */
  readonly file: string;
  readonly state: StudyState;
  readonly createdAt: string;
  /** Studies run in this order; one that was being run when its process ended keeps its place. */
  readonly queuedAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly samples: SampleCount | null;
  readonly error: ApiError | null;
  /** How often it was started, by itself, without one more sample on disk. */
  readonly fruitlessStarts: number;
}

const RECORD = 'study.json';

/** The folders of all studies: for each its record, its source and its results. */
export class StudyStore {
  readonly #folder: string;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A new id: they sort by time. */
  static newId(now = new Date()): string {
    const time = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
    return `${time}-${randomBytes(3).toString('hex')}`;
  }

  source(id: string): string {
    return join(this.#folder, id, 'source');
  }

  results(id: string): string {
    return join(this.#folder, id, 'results');
  }

  /** Every study that was kept, by id. A folder that was being made when its process ended is removed. */
  async load(): Promise<StudyRecord[]> {
    await mkdir(this.#folder, { recursive: true });
    const records: StudyRecord[] = [];
    for (const id of (await readdir(this.#folder)).sort()) {
      const text = await readFile(join(this.#folder, id, RECORD), 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      if (text === undefined) await this.remove(id);
      else records.push(parseRecord(text, join(this.#folder, id, RECORD)));
    }
    return records;
  }

  /** Writes a record whole or not at all, and has it put on disk; one after the other, so that the newest stays. */
  async save(record: StudyRecord): Promise<void> {
    const writing = this.#writing.then(() => this.#write(record));
    this.#writing = writing.catch(() => {});
    return writing;
  }

  async #write(record: StudyRecord): Promise<void> {
    const path = join(this.#folder, record.id, RECORD);
    const unfinished = `${path}.part`;
    try {
      await mkdir(join(this.#folder, record.id), { recursive: true });
      const file = await open(unfinished, 'w');
      try {
        await file.writeFile(`${JSON.stringify(record, null, 2)}\n`);
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(unfinished, path);
    } catch (error) {
      throw diskError(error, path);
    }
  }

  /** Removes a study's folder. If that is interrupted `load` goes on with it, because the record goes first. */
  async remove(id: string): Promise<void> {
    const removing = this.#writing.then(async () => {
      await rm(join(this.#folder, id, RECORD), { force: true });
      await rm(join(this.#folder, id), { recursive: true, force: true });
    });
    this.#writing = removing.catch(() => {});
    return removing;
  }
}

function parseRecord(text: string, path: string): StudyRecord {
  try {
    return JSON.parse(text) as StudyRecord;
  } catch (error) {
    throw new TierbedError('invalid', `${path} is damaged: ${messageOf(error)}`, {
      fix: 'Move the folder of this study away; its results folder can be read without it.',
      cause: error,
    });
  }
}
