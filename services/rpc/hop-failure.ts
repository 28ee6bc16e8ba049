import { type ErrorKind, TierbedError } from '../../base/errors.js';

/**
 * A node gave up on the next one. It crosses gRPC as what it is, so that the node before it knows that this hop has had its
 * attempts, and is not to have them all again.
 */
export class HopFailure extends TierbedError {
  /** Attempts of all hops beyond the first. */
  readonly attempts: number;

  constructor(kind: ErrorKind, message: string, attempts: number, options: { fix?: string; cause?: unknown } = {}) {
    super(kind, message, options);
    this.attempts = attempts;
  }
}
