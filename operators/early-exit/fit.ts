import { TierbedError } from '../../base/errors.js';
import { GraphBuilder } from '../../onnx/build.js';
import type { Model } from '../../onnx/model.js';
import { confidenceOf } from '../../workloads/exit-rule.js';
import type { Samples } from '../../workloads/ridge.js';
import type { OperatorContext } from '../operator.js';
import { classificationOf } from './classes.js';
import { type Collected, collect } from './collect.js';
import type { FeatureForm } from './forms.js';
import { addHead, type FittedHead, fitHead, scoresOf } from './heads.js';
import type { EarlyExitOptions } from './options.js';
import type { Exit } from './place.js';
import type { ExitTrial } from './thresholds.js';

/** The head of one exit, and the features that it takes. */
export interface ExitHead extends FittedHead {
  readonly form: FeatureForm;
}

export interface FittedExits {
  readonly heads: readonly ExitHead[];
  /** What each exit says of the tuning items. */
  readonly trials: readonly ExitTrial[];
  /** Whether the whole model is right on them. */
  readonly last: readonly boolean[];
  readonly fit: Collected;
  readonly tune: Collected;
}

/**
 * Fits a head at each exit: features of the calibration part in, the form and the strength that do best on the tuning part
 * kept (of equals the form with the fewest features).
 *
 * @throws TierbedError `invalid` when a part is empty or unreadable, or has items of one class alone; `cancelled`
 */
export async function fitExits(
  model: Model,
  exits: readonly Exit[],
  { items = 1000, confidence = 'max-probability' }: EarlyExitOptions,
  { workload, threads, progress, signal }: OperatorContext,
): Promise<FittedExits> {
  const spec = classificationOf(workload);
  // The probe is the whole model: what each exit looks at is there under its own name.
  const g = GraphBuilder.from(model);
  const places = exits.map((exit, i) => ({ tensor: exit.input(g, `tierbed.exit${i}`), forms: exit.forms }));
  const whole = g.build();
  const options = { items, threads, progress, signal };
  const fit = await collect(whole, places, workload, spec, 'calibration', options);
  checkClasses(workload.name, fit);
  const tune = await collect(whole, places, workload, spec, 'tuning', options);
  progress.start('fitting the heads of the exits', exits.length);
  const heads: ExitHead[] = [];
  try {
    for (const [i, exit] of exits.entries()) {
      heads.push(await bestHead(exit, fit.samples[i] ?? [], tune.samples[i] ?? [], fit.classes, signal));
      progress.update(i + 1);
    }
  } finally {
    progress.stop();
  }
  const trials = heads.map((head, i) => {
    const form = exits[i]?.forms.indexOf(head.form) as number;
    return trialOf(head, tune.samples[i]?.[form] as Samples, confidence);
  });
  return { heads, trials, last: tune.right, fit, tune };
}

/** Adds what makes an exit's scores to the stage that holds it; gives their name. */
export function addExit(g: GraphBuilder, exit: Exit, { form, head }: ExitHead, prefix: string): string {
  return addHead(g, form.build(g, exit.input(g, prefix), prefix), head, prefix);
}

async function bestHead(
  { forms }: Exit,
  fit: readonly Samples[],
  tune: readonly Samples[],
  classes: number,
  signal: AbortSignal,
): Promise<ExitHead> {
  let best: ExitHead | undefined;
  for (const [i, form] of forms.entries()) {
    // Each takes up to seconds: signals get their turn between them.
    await new Promise((resolve) => setImmediate(resolve));
    if (signal.aborted) throw new TierbedError('cancelled', 'fitting the heads of the exits was cancelled');
    const fitted = fitHead(fit[i] as Samples, tune[i] as Samples, classes);
    if (!best || fitted.accuracy > best.accuracy) best = { ...fitted, form };
  }
  return best as ExitHead;
}

function trialOf(
  { head }: ExitHead,
  samples: Samples,
  confidence: NonNullable<EarlyExitOptions['confidence']>,
): ExitTrial {
  const scores = Float32Array.from(scoresOf(head, samples));
  const classes = head.bias.length;
  const rows = samples.classes.map((own, row) => {
    const logits = scores.subarray(row * classes, (row + 1) * classes);
    const tensor = { dtype: 'float32', shape: [1, classes], data: new Uint8Array(logits.slice().buffer) } as const;
    const sure = confidenceOf({ scores: 'scores', confidence }, [{ name: 'scores', tensor }]);
    return { sure, right: logits.indexOf(Math.max(...logits)) === own };
  });
  return { confidence: rows.map(({ sure }) => sure), right: rows.map(({ right }) => right) };
}

function checkClasses(workload: string, { samples }: Collected): void {
  const classes = new Set(samples[0]?.[0]?.classes);
  if (classes.size > 1) return;
  throw new TierbedError('invalid', `the calibration part of ${workload} has items of one class alone`, {
    fix: 'Draw it so that every class is in it (docs/workloads.md, split).',
  });
}
