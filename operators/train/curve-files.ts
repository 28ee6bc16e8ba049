import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../../base/disk-error.js';
import { curveChart } from './curve-chart.js';
import type { CurvePoint } from './types.js';

const COLUMNS = ['epoch', 'steps', 'learningRate', 'loss', 'tuning', 'seconds'] as const;

/** The curve as CSV (RFC 4180): a heading, then a line an epoch; what is not known is empty. */
export function curveCsv(curve: readonly CurvePoint[]): string {
  const lines = curve.map((row) => COLUMNS.map((column) => String(row[column] ?? '')).join(','));
  return [COLUMNS.join(','), ...lines, ''].join('\n');
}

/**
 * Writes a curve as CSV, and as JSON unless told otherwise: each file is there whole, as it was or as it is.
 *
 * @throws TierbedError as `diskError`
 */
export async function writeCurve(
  folder: string,
  curve: readonly CurvePoint[],
  { name = 'curve', json = true }: { readonly name?: string; readonly json?: boolean } = {},
): Promise<void> {
  if (json) await replace(folder, `${name}.json`, `${JSON.stringify(curve, null, 2)}\n`);
  await replace(folder, `${name}.csv`, curveCsv(curve));
}

/** Removes what `writeCurve` wrote. Never fails. */
export async function removeCurve(folder: string, name = 'curve'): Promise<void> {
  for (const file of [`${name}.csv`, `${name}.json`]) await rm(join(folder, file), { force: true }).catch(() => {});
}

/**
 * Writes a curve as a picture, `NAME.svg`.
 *
 * @param metric its title
 * @throws TierbedError as `diskError`
 */
export async function writePlot(
  folder: string,
  curve: readonly CurvePoint[],
  metric: string,
  name = 'curve',
): Promise<void> {
  // Loaded when it is needed: it takes longer than everything else here.
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const view = new vega.View(vega.parse(compile(curveChart(curve, metric)).spec), { renderer: 'none' });
  try {
    await replace(folder, `${name}.svg`, await view.toSVG());
  } finally {
    view.finalize();
  }
}

async function replace(folder: string, name: string, text: string): Promise<void> {
  const path = join(folder, name);
  const beside = `${path}.${process.pid}.part`;
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(beside, text);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {});
    throw diskError(error, path, {
      full: 'Free some space, and run again: training goes on from its checkpoint.',
      place: 'Give a folder that can be written to.',
    });
  }
}
