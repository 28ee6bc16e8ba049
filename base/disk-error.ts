import { messageOf, TierbedError } from './errors.js';

/** What a failed write to the results means to the person who waits for them. */
export function diskError(error: unknown, path: string): unknown {
  if (error instanceof TierbedError) return error;
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new TierbedError('exhausted', `there is no room left to write ${path}`, {
        fix: 'Free some space; what is recorded stays, and --resume goes on from there.',
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ENOTDIR':
    case 'ENOENT':
    case 'EISDIR':
      return new TierbedError('refused', `${path} cannot be written: ${messageOf(error)}`, {
        fix: 'Write to another folder with --out.',
        cause: error,
      });
    default:
      return error;
  }
}
