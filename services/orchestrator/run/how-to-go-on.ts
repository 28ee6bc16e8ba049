import { TierbedError } from '../../../base/errors.js';

/** The error of a run that ended early, with what is kept and how to finish it. */
export function howToGoOn(
  error: unknown,
  finishWith: string,
  folder: string,
  recorded: number,
  planned: number,
): unknown {
  if (!(error instanceof TierbedError) || recorded === planned) return error;
  const kept = `${recorded} of ${planned} samples are recorded in ${folder}`;
  const goOn = `finish it with: ${finishWith}`;
  return new TierbedError(error.kind, `${error.message}\n  ${kept}`, {
    fix: error.kind === 'cancelled' || error.fix === undefined ? goOn : `${error.fix} Then ${goOn}`,
    cause: error,
  });
}
