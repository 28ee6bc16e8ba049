import { crc32 } from 'node:zlib';
import { type UnzipFileInfo, unzipSync } from 'fflate';
import { messageOf, TierbedError } from '../../base/errors.js';

/** What all files that are asked for may take once unpacked: a data set that fits the memory of a small machine. */
const MAX_UNPACKED_BYTES = 4 * 1024 ** 3;

/** Deflate cannot make more than 1,032 bytes of one (zlib's technical notes): whoever says so lies. */
const MAX_RATIO = 1032;

/**
 * The names of a ZIP archive's files.
 *
 * @param path names the archive in errors
 * @throws TierbedError `invalid` when it is none
 */
export function zipNames(archive: Uint8Array, path: string): readonly string[] {
  const names: string[] = [];
  unzip(archive, path, ({ name }) => {
    names.push(name);
    return false;
  });
  return names;
}

/**
 * Unpacks some files of a ZIP archive, which are all to be there.
 *
 * @throws TierbedError `invalid` when it is no archive or damaged; `exhausted` when it says that it unpacks to more than 4 GiB
 */
export function unzipped(archive: Uint8Array, names: readonly string[], path: string): ReadonlyMap<string, Uint8Array> {
  let total = 0;
  const sizes = new Map<string, number>();
  const files = unzip(archive, path, ({ name, size, originalSize, compression }) => {
    if (!names.includes(name)) return false;
    if (compression !== 0 && compression !== 8) {
      throw new TierbedError('invalid', `${name} in ${path} is packed by method ${compression}`, {
        fix: 'Save it with numpy.savez or numpy.savez_compressed.',
      });
    }
    const most = compression === 0 ? size : size * MAX_RATIO;
    if (originalSize > most || size > archive.byteLength) {
      throw new TierbedError('invalid', `${name} in ${path} says that ${size} bytes unpack to ${originalSize}, which cannot be`);
    }
    total += originalSize;
    if (total > MAX_UNPACKED_BYTES) {
      throw new TierbedError('exhausted', `${path} unpacks to more than ${MAX_UNPACKED_BYTES} bytes`, {
        fix: 'Save the array as .npy: it is read item by item.',
      });
    }
    sizes.set(name, originalSize);
    return true;
  });
  const checksums = checksumsOf(archive);
  return new Map(
    names.map((name) => {
      const bytes = files[name];
      const expected = checksums.get(name);
      if (!bytes || bytes.byteLength !== sizes.get(name) || (expected !== undefined && crc32(bytes) !== expected)) {
        throw new TierbedError('invalid', `${name} in ${path} is damaged: it is not what its checksum says`, {
          fix: 'Copy the file again.',
        });
      }
      return [name, bytes];
    }),
  );
}

function unzip(archive: Uint8Array, path: string, filter: (file: UnzipFileInfo) => boolean): Record<string, Uint8Array> {
  try {
    return unzipSync(archive, { filter });
  } catch (error) {
    if (error instanceof TierbedError) throw error;
    throw new TierbedError('invalid', `${path} is not a complete ZIP archive: ${messageOf(error)}`, { cause: error });
  }
}

/** The least that the end of the central directory takes. */
const END_BYTES = 22;

/** CRC-32 of each file, from the central directory (APPNOTE.TXT 4.3.12), which fflate does not compare. */
function checksumsOf(archive: Uint8Array): ReadonlyMap<string, number> {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  const checksums = new Map<string, number>();
  const end = bytes.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'), bytes.byteLength - END_BYTES);
  if (end < 0) return checksums;
  for (let at = bytes.readUInt32LE(end + 16); at + 46 <= end && bytes.readUInt32LE(at) === 0x02014b50; ) {
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((offset) => bytes.readUInt16LE(at + offset)) as [number, number, number];
    checksums.set(bytes.toString('utf8', at + 46, at + 46 + nameBytes), bytes.readUInt32LE(at + 16));
    at += 46 + nameBytes + extraBytes + commentBytes;
  }
  return checksums;
}
