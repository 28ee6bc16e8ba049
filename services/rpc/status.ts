import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { type ErrorKind, messageOf, TierbedError } from '../../base/errors.js';
import { HopFailure } from './hop-failure.js';
import { overLimit } from './method.js';

/** The gRPC status of each kind of error. */
export const STATUS_OF: Readonly<Record<ErrorKind, status>> = {
  usage: status.INVALID_ARGUMENT,
  invalid: status.INVALID_ARGUMENT,
  missing: status.NOT_FOUND,
  refused: status.FAILED_PRECONDITION,
  unavailable: status.UNAVAILABLE,
  exhausted: status.RESOURCE_EXHAUSTED,
  timeout: status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  internal: status.INTERNAL,
};

const KIND_OF: Readonly<Partial<Record<status, ErrorKind>>> = {
  [status.INVALID_ARGUMENT]: 'invalid',
  [status.OUT_OF_RANGE]: 'invalid',
  [status.NOT_FOUND]: 'missing',
  [status.UNIMPLEMENTED]: 'missing',
  [status.FAILED_PRECONDITION]: 'refused',
  [status.ALREADY_EXISTS]: 'refused',
  [status.PERMISSION_DENIED]: 'refused',
  [status.UNAUTHENTICATED]: 'refused',
  [status.ABORTED]: 'unavailable',
  [status.UNAVAILABLE]: 'unavailable',
  [status.RESOURCE_EXHAUSTED]: 'exhausted',
  [status.DEADLINE_EXCEEDED]: 'timeout',
  [status.CANCELLED]: 'cancelled',
};

/** Trailers that carry what a status has no room for. */
const KIND_KEY = 'tierbed-kind';
const FIX_KEY = 'tierbed-fix-bin';
/** Of a `HopFailure`: the attempts that were made. */
const ATTEMPTS_KEY = 'tierbed-attempts';

/** Trailers are headers, and peers bound those: a longer message is cut. */
const MAX_TEXT_BYTES = 2048;

/** Anything thrown, as the status that a server answers with. */
export function toStatus(error: unknown): Partial<StatusObject> & { code: status; details: string } {
  const kind = error instanceof TierbedError ? error.kind : 'internal';
  const metadata = new Metadata();
  metadata.set(KIND_KEY, kind);
  if (error instanceof TierbedError && error.fix !== undefined) {
    metadata.set(FIX_KEY, Buffer.from(shorten(error.fix), 'utf8'));
  }
  if (error instanceof HopFailure) metadata.set(ATTEMPTS_KEY, String(error.attempts));
  return { code: STATUS_OF[kind], details: shorten(messageOf(error)), metadata };
}

/** The error that a client throws for a status; `address` is the peer's. */
export function fromStatus(error: unknown, address: string): TierbedError {
  if (error instanceof TierbedError) return error;
  if (!isStatus(error)) return new TierbedError('internal', messageOf(error), { cause: error });
  const sent = error.metadata?.get(KIND_KEY)[0];
  if (typeof sent === 'string' && Object.hasOwn(STATUS_OF, sent)) {
    const fix = error.metadata?.get(FIX_KEY)[0];
    const options = { cause: error, ...(fix !== undefined && { fix: fix.toString() }) };
    const attempts = Number(error.metadata?.get(ATTEMPTS_KEY)[0] ?? Number.NaN);
    if (Number.isSafeInteger(attempts)) return new HopFailure(sent as ErrorKind, error.details, attempts, options);
    return new TierbedError(sent as ErrorKind, error.details, options);
  }
  const tooLong = /larger than max \((\d+) vs\.? (\d+)\)/.exec(error.details);
  if (error.code === status.RESOURCE_EXHAUSTED && tooLong) return overLimit(Number(tooLong[1]), Number(tooLong[2]));
  const kind = KIND_OF[error.code] ?? 'internal';
  if (kind === 'unavailable') return unreachable(address, error.details, error);
  if (kind === 'timeout')
    return new TierbedError(kind, `${address} did not answer within the deadline`, { cause: error });
  return new TierbedError(kind, `${address}: ${error.details || status[error.code]}`, { cause: error });
}

/** The error of a peer that cannot be reached. */
export function unreachable(address: string, why: string, cause?: unknown): TierbedError {
  return new TierbedError('unavailable', `cannot reach ${address}: ${why}`, {
    fix: 'check that the process behind this address runs and listens there',
    ...(cause !== undefined && { cause }),
  });
}

function isStatus(error: unknown): error is Error & StatusObject {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

/** At most MAX_TEXT_BYTES of well-formed UTF-8. */
function shorten(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= MAX_TEXT_BYTES) return bytes.toString();
  return `${bytes
    .subarray(0, MAX_TEXT_BYTES)
    .toString()
    .replace(/\uFFFD+$/, '')}...`;
}
