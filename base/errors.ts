/** What went wrong, in the terms a caller can act on; each maps to one exit code and one gRPC status. */
export type ErrorKind =
  | 'usage' // the command line is wrong
  | 'invalid' // a file, model, tensor or study is wrong
  | 'missing' // something named is not there
  | 'refused' // the run may not go on (links out of tolerance, folder in use...)
  | 'unavailable' // a node, port or peer cannot be reached
  | 'exhausted' // a queue, disk or limit is full
  | 'timeout' // a deadline passed
  | 'cancelled' // the user or the caller went away
  | 'internal'; // a defect of Tierbed

/**
 * An error meant to be read by a person: what is wrong, where, and what to do about it.
 *
 * `message` names the file, key or tensor; `fix` is one imperative sentence.
 */
export class TierbedError extends Error {
  readonly kind: ErrorKind;
  readonly fix: string | undefined;

  constructor(kind: ErrorKind, message: string, options: { fix?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'TierbedError';
    this.kind = kind;
    this.fix = options.fix;
  }
}

/** Exit codes of the `tierbed` command, one a kind of error (0 is success, 130 is Ctrl-C). */
export const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  internal: 1,
  usage: 2,
  invalid: 3,
  missing: 4,
  refused: 5,
  unavailable: 6,
  exhausted: 7,
  timeout: 8,
  cancelled: 130,
};

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
