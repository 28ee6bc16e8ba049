import { type FileHandle, open } from 'node:fs/promises';
import type { SampleRow } from '../../../analysis/columns.js';
import { CSV_HEADER, csvLine } from '../../../analysis/samples-csv.js';
import { diskError } from '../../../base/disk-error.js';

/** Appends rows to samples.csv: each is on disk, whole, before it counts. */
export class Recorder {
  readonly #path: string;
  readonly #file: FileHandle;
  /** Where the last whole row ends. */
  #end: number;

  private constructor(path: string, file: FileHandle, end: number) {
    this.#path = path;
    this.#file = file;
    this.#end = end;
  }

  /**
   * Opens a file to append to. One that is new gets the header; what follows the last line end of another is a row that
   * was being written when its run ended, and is cut off.
   *
   * @throws TierbedError `refused` when it cannot be written, `exhausted` when the disk is full
   */
  static async open(path: string): Promise<Recorder> {
    let file: FileHandle | undefined;
    try {
      file = await open(path, 'a+');
      const recorder = new Recorder(path, file, await endOfLastLine(file));
      await recorder.#cutBack();
      if (recorder.#end === 0) await recorder.#append(CSV_HEADER);
      return recorder;
    } catch (error) {
      await file?.close();
      throw diskError(error, path);
    }
  }

  /**
   * Appends one row with a single write and has it put on disk.
   *
   * @throws TierbedError `exhausted` when the disk is full: the file then ends with the last whole row
   */
  async record(row: SampleRow): Promise<void> {
    try {
      await this.#append(csvLine(row));
    } catch (error) {
      throw diskError(error, this.#path);
    }
  }

  async #append(line: string): Promise<void> {
    const bytes = Buffer.from(line, 'utf8');
    try {
      // A short write means that the next one fails with the reason, so what is left is written until it does.
      for (let written = 0; written < bytes.length; ) {
        written += (await this.#file.write(bytes, written)).bytesWritten;
      }
      await this.#file.datasync();
    } catch (error) {
      await this.#cutBack().catch(() => {});
      throw error;
    }
    this.#end += bytes.length;
  }

  async #cutBack(): Promise<void> {
    if ((await this.#file.stat()).size > this.#end) await this.#file.truncate(this.#end);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** The offset behind the last line end; 0 when there is none. Reads from the end, a block at a time. */
async function endOfLastLine(file: FileHandle): Promise<number> {
  const block = Buffer.alloc(64 * 1024);
  for (let end = (await file.stat()).size; end > 0; ) {
    const start = Math.max(0, end - block.length);
    const { bytesRead } = await file.read(block, 0, end - start, start);
    const at = block.subarray(0, bytesRead).lastIndexOf(0x0a);
    if (at >= 0) return start + at + 1;
    end = start;
  }
  return 0;
}
