import { type ErrorKind, TierbedError } from './errors.js';

/** An error in data that a file has: it says at which key of the data; whoever read the file adds the file and the line. */
export class KeyedError extends TierbedError {
  /** Keys and indexes from where the data begins. */
  readonly path: readonly (string | number)[];

  constructor(
    path: readonly (string | number)[],
    message: string,
    options: { fix?: string; cause?: unknown; kind?: ErrorKind } = {},
  ) {
    super(options.kind ?? 'invalid', message, options);
    this.path = path;
  }

  /** What was thrown, as an error at a key; one that has a key already gets it beneath this one. Others stay as they are. */
  static at(path: readonly (string | number)[], error: unknown): unknown {
    if (!(error instanceof TierbedError) || error.kind === 'cancelled') return error;
    const within = error instanceof KeyedError ? error.path : [];
    const { kind, message, fix } = error;
    return new KeyedError([...path, ...within], message, { kind, cause: error, ...(fix !== undefined && { fix }) });
  }
}
