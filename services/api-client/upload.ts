import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { Progress } from '../../base/progress.js';
import type { PackedFile } from '../orchestrator/study/pack.js';
import type { ApiClient } from './client.js';

/** The service takes this many hashes at once. */
const HASHES_AT_ONCE = 10_000;
/** Small files wait for answers more than for the wire. */
const UPLOADS_AT_ONCE = 4;

/**
 * Sends what the orchestrator has not got yet.
 *
 * @returns how many files were sent, each content once
 * @throws TierbedError as `ApiClient.open`
 */
export async function uploadFiles(
  client: ApiClient,
  files: readonly PackedFile[],
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  const byHash = new Map(files.map((file) => [file.sha256, file]));
  const missing = await askMissing(client, [...byHash.keys()], signal);
  const wanted = missing.map((sha256) => byHash.get(sha256) as PackedFile);
  const totalBytes = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
  let sentBytes = 0;
  progress.start('sending the files of the study, kB', kilobytes(totalBytes));
  try {
    const send = async ({ sha256, source, path, bytes }: PackedFile): Promise<void> => {
      const counted = Readable.from(
        count(createReadStream(source), (n) => {
          sentBytes += n;
          progress.update(kilobytes(sentBytes), path);
        }),
        { objectMode: false },
      );
      const stream = bytes === 0 ? new Uint8Array() : (Readable.toWeb(counted) as ReadableStream<Uint8Array>);
      await client.call('PUT', `/v1/files/${sha256}`, { stream, signal, long: true });
    };
    const waiting = wanted.values();
    const worker = async (): Promise<void> => {
      for (const file of waiting) await send(file);
    };
    await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, worker));
  } finally {
    progress.stop();
  }
  return wanted.length;
}

async function askMissing(client: ApiClient, hashes: readonly string[], signal: AbortSignal): Promise<string[]> {
  const missing: string[] = [];
  for (let i = 0; i < hashes.length; i += HASHES_AT_ONCE) {
    const body = { sha256: hashes.slice(i, i + HASHES_AT_ONCE) };
    missing.push(...(await client.call<{ missing: string[] }>('POST', '/v1/files/missing', { body, signal })).missing);
  }
  return missing;
}

async function* count(chunks: AsyncIterable<Uint8Array>, add: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk;
    add(chunk.byteLength);
  }
}

const kilobytes = (bytes: number): number => Math.ceil(bytes / 1000);
