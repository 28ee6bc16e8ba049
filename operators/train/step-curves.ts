import type { TakenStep } from '../variant.js';
import { writeCurve, writePlot } from './curve-files.js';
import type { CurvePoint } from './types.js';

/** A file that a curve of a step is in, beside a variant's models. */
export const CURVE_FILE = /^curve(-\d+)?\.(csv|svg)$/;

/**
 * Writes the learning curves of the steps that trained: `curve.csv` and `curve.svg` of the first, `curve-2.csv`... of the
 * second.
 *
 * @param metric its title
 * @throws TierbedError `exhausted` when the disk is full
 */
export async function writeStepCurves(steps: readonly TakenStep[], folder: string, metric: string): Promise<void> {
  const curves = steps.flatMap(({ facts }) => curvesIn(facts));
  for (const [i, curve] of curves.entries()) {
    const name = i === 0 ? 'curve' : `curve-${i + 1}`;
    await writeCurve(folder, curve, { name, json: false });
    await writePlot(folder, curve, metric, name);
  }
}

/** Every learning curve in what steps say of themselves, however deep. */
function curvesIn(facts: unknown): (readonly CurvePoint[])[] {
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return [];
  return Object.entries(facts).flatMap(([key, value]) =>
    key === 'curve' && isCurve(value) ? [value] : curvesIn(value),
  );
}

function isCurve(value: unknown): value is readonly CurvePoint[] {
  return Array.isArray(value) && value.length > 0 && value.every((point) => 'epoch' in point && 'loss' in point);
}
