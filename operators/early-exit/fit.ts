import { TierbedError } from '../../base/errors.js';
import { GraphBuilder } from '../../onnx/build.js';
import type { Model } from '../../onnx/model.js';
import { confidenceOf } from '../../workloads/exit-rule.js';
import type { Samples } from '../../workloads/ridge.js';
import type { OperatorContext } from '../operator.js';
import { classificationOf } from './classes.js';
import { type Collected, collect } from './collect.js';
import type { FeatureForm } from './forms.js';
import { addHead, type BuiltHead, fitHead, headScores } from './heads.js';
import type { EarlyExitOptions } from './options.js';
import type { Exit } from './place.js';
import type { ExitTrial } from './thresholds.js';

/** The head of one exit, and the features that it takes. */
export interface ExitHead extends BuiltHead {
  readonly form: FeatureForm;
  /** The strength of the regularisation; undefined for a head that was trained. */
  readonly lambda?: number;
  /** The share of the tuning items at whose class the highest score is, 0 to 1. */
  readonly accuracy: number;
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
 * Fits a head at each exit: features of the calibration part in (or of the training part, where heads are trained from
 * there on), the form and the strength that do best on the tuning part kept (of equals the form with the fewest features).
 *
 * @throws TierbedError `invalid` when a part is empty or unreadable, or has items of one class alone; `cancelled`
 */
export async function fitExits(
  model: Model,
  exits: readonly Exit[],
  options: EarlyExitOptions,
  context: OperatorContext,
): Promise<FittedExits> {
  const { workload, progress, signal } = context;
  const part = options.head === 'train' ? 'training' : 'calibration';
  const fit = await collectAt(model, exits, part, options, context);
  checkClasses(workload.name, part, fit);
  const tune = await collectAt(model, exits, 'tuning', options, context);
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
  return { heads, trials: trialsOf(exits, heads, tune, options), last: tune.right, fit, tune };
}

/** The features of a part at every exit. @throws as `collect` */
export function collectAt(
  model: Model,
  exits: readonly Exit[],
  part: 'training' | 'calibration' | 'tuning',
  { items = 1000 }: EarlyExitOptions,
  { workload, threads, progress, signal }: OperatorContext,
): Promise<Collected> {
  // The probe is the whole model: what each exit looks at is there under its own name.
  const g = GraphBuilder.from(model);
  const places = exits.map((exit, i) => ({ tensor: exit.input(g, `tierbed.exit${i}`), forms: exit.forms }));
  const options = { items, threads, progress, signal };
  return collect(g.build(), places, workload, classificationOf(workload), part, options);
}

/** What each head says of the tuning items. */
export function trialsOf(
  exits: readonly Exit[],
  heads: readonly ExitHead[],
  tune: Collected,
  { confidence = 'max-probability' }: EarlyExitOptions,
): readonly ExitTrial[] {
  return heads.map((head, i) => trialOf(head, samplesOf(exits[i] as Exit, head, tune, i), confidence));
}

/** What a head takes of the tuning items. */
export function samplesOf({ forms }: Exit, { form }: ExitHead, { samples }: Collected, exit: number): Samples {
  return samples[exit]?.[forms.indexOf(form)] as Samples;
}

/** Adds what makes an exit's scores to the stage that holds it; gives their name. */
export function addExit(g: GraphBuilder, exit: Exit, head: ExitHead, prefix: string): string {
  return addHead(g, head.form.build(g, exit.input(g, prefix), prefix), head, prefix);
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

function trialOf(head: ExitHead, samples: Samples, confidence: NonNullable<EarlyExitOptions['confidence']>): ExitTrial {
  const scores = Float32Array.from(headScores(head, samples));
  const classes = head.head.bias.length;
  const rows = samples.classes.map((own, row) => {
    const logits = scores.subarray(row * classes, (row + 1) * classes);
    const tensor = { dtype: 'float32', shape: [1, classes], data: new Uint8Array(logits.slice().buffer) } as const;
    const sure = confidenceOf({ scores: 'scores', confidence }, [{ name: 'scores', tensor }]);
    return { sure, right: logits.indexOf(Math.max(...logits)) === own };
  });
  return { confidence: rows.map(({ sure }) => sure), right: rows.map(({ right }) => right) };
}

function checkClasses(workload: string, part: string, { samples }: Collected): void {
  const classes = new Set(samples[0]?.[0]?.classes);
  if (classes.size > 1) return;
  throw new TierbedError('invalid', `the ${part} part of ${workload} has items of one class alone`, {
    fix: 'Draw it so that every class is in it (docs/workloads.md, split).',
  });
}
