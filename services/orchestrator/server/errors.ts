import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { explainErrors } from '../../../base/checked-yaml.js';
import { type ErrorKind, messageOf, TierbedError } from '../../../base/errors.js';
import type { ErrorBody } from './api.js';

/** The HTTP status of each kind of error. */
export const STATUS_OF: Readonly<Record<ErrorKind, number>> = {
  usage: 400,
  invalid: 400,
  missing: 404,
  refused: 409,
  exhausted: 429,
  cancelled: 499,
  internal: 500,
  unavailable: 503,
  timeout: 504,
};

/** An error whose HTTP status says more than its kind does, e.g. 401. */
export class HttpError extends TierbedError {
  readonly status: number;

  constructor(status: number, kind: ErrorKind, message: string, fix?: string) {
    super(kind, message, fix === undefined ? {} : { fix });
    this.status = status;
  }
}

/** The body of an answer that says what went wrong. */
export function errorBody({ kind, message, fix }: TierbedError): ErrorBody {
  return { error: { kind, message, fix: fix ?? null } };
}

/** Answers with the error in the project's form, whatever was thrown. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const known = asTierbedError(error);
  const status = known instanceof HttpError ? known.status : STATUS_OF[known.kind];
  if (known.kind === 'internal') request.log.error({ err: error }, 'a request failed');
  void reply.code(status).type('application/json; charset=utf-8').send(errorBody(known));
}

function asTierbedError(error: unknown): TierbedError {
  if (error instanceof TierbedError) return error;
  const { validation, validationContext, statusCode, message } = error as FastifyError;
  if (validation) {
    const { place, message: what, fix } = explainErrors(validation as Parameters<typeof explainErrors>[0]);
    const where = [validationContext ?? 'body', place].filter((part) => part !== '').join(': ');
    return new TierbedError('invalid', `${where}: ${what}`, fix === undefined ? {} : { fix });
  }
  switch (statusCode) {
    case undefined:
    case 500:
      return new TierbedError('internal', messageOf(error), { cause: error });
    case 413:
      return new HttpError(
        413,
        'exhausted',
        message,
        'Send less at once; /openapi.json says how much each route takes.',
      );
    case 415:
      return new HttpError(
        415,
        'invalid',
        message,
        'Send JSON as application/json, and files as application/octet-stream.',
      );
    default:
      return new HttpError(statusCode, 'invalid', message);
  }
}
