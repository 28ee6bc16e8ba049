import { TierbedError } from '../../../base/errors.js';
import type { Calibrator } from './calibrator.js';
import { entropy } from './entropy.js';
import { minmax } from './minmax.js';
import { mse } from './mse.js';
import { percentile } from './percentile.js';

export type { Calibrator, MethodOptions } from './calibrator.js';

/** The calibrators there are: a new one is a file here and an entry below. */
const CALIBRATORS: readonly Calibrator[] = [minmax, percentile, entropy, mse];

export const calibratorNames: readonly string[] = CALIBRATORS.map(({ name }) => name);

/** @throws TierbedError `invalid` when there is no calibrator of this name */
export function calibratorNamed(name: string): Calibrator {
  const found = CALIBRATORS.find((calibrator) => calibrator.name === name);
  if (found) return found;
  throw new TierbedError('invalid', `there is no calibration method '${name}'`, {
    fix: `Use one of: ${calibratorNames.join(', ')}.`,
  });
}
