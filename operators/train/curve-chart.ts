import type { TopLevelSpec } from 'vega-lite';
import type { CurvePoint } from './types.js';

const WIDTH = 420;
const HEIGHT = 150;

/**
 * A learning curve as a chart's specification (Vega-Lite): the loss over the epochs, and below it the metric on the
 * tuning part, where the data has one.
 *
 * @param metric its title
 */
export function curveChart(curve: readonly CurvePoint[], metric: string): TopLevelSpec {
  const values = curve.map(({ epoch, loss, tuning }) => ({ epoch, loss, tuning }));
  const panel = (field: 'loss' | 'tuning', title: string) => ({
    ...{ width: WIDTH, height: HEIGHT, mark: { type: 'line' as const, point: curve.length <= 60 } },
    encoding: {
      x: { field: 'epoch', type: 'quantitative' as const, title: 'epoch', axis: { tickMinStep: 1, format: 'd' } },
      y: { field, type: 'quantitative' as const, title, scale: { zero: false } },
    },
  });
  const tuned = curve.some(({ tuning }) => tuning !== null);
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    data: { values },
    vconcat: [panel('loss', 'mean loss'), ...(tuned ? [panel('tuning', `${metric} (tuning)`)] : [])],
  };
}
