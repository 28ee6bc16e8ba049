import { messageOf, TierbedError } from './errors.js';

/** What to do about a disk that takes no more, and about a place that cannot be written to. */
export interface DiskFixes {
  readonly full: string;
  readonly place: string;
}

/** Of the results of a run. */
const RESULTS: DiskFixes = {
  full: 'Free some space; what is recorded stays, and --resume goes on from there.',
  place: 'Write to another folder with --out.',
};

/** What a failed write means to the person who waits for what is written. */
export function diskError(error: unknown, path: string, fixes: DiskFixes = RESULTS): unknown {
  if (error instanceof TierbedError) return error;
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new TierbedError('exhausted', `there is no room left to write ${path}`, { fix: fixes.full, cause: error });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ENOTDIR':
    case 'ENOENT':
    case 'EISDIR':
      return new TierbedError('refused', `${path} cannot be written: ${messageOf(error)}`, {
        fix: fixes.place,
        cause: error,
      });
    default:
      return error;
  }
}
