import { messageOf, TierbedError } from '../../base/errors.js';

/** A call of one thread or process to another, by name. */
export interface WorkerCall<Name extends PropertyKey> {
  readonly id: number;
  readonly method: Name;
  readonly args: readonly unknown[];
}

/** What came of it. Errors are taken apart, because their classes do not survive the way. */
export type WorkerAnswer =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | {
      readonly id: number;
      readonly ok: false;
      readonly kind: string;
      readonly message: string;
      readonly fix: string | undefined;
    };

/** Does what a call asks for. Never throws. */
export async function answerCall<Name extends PropertyKey>(
  calls: Readonly<Record<Name, (...args: never[]) => unknown>>,
  { id, method, args }: WorkerCall<Name>,
): Promise<WorkerAnswer> {
  try {
    return { id, ok: true, result: await calls[method](...(args as never[])) };
  } catch (error) {
    const known = error instanceof TierbedError;
    return {
      id,
      ok: false,
      kind: known ? error.kind : 'internal',
      message: messageOf(error),
      fix: known ? error.fix : undefined,
    };
  }
}
