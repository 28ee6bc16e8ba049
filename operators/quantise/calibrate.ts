import { TierbedError } from '../../base/errors.js';
import { type Progress, silent } from '../../base/progress.js';
import { dataTypeName } from '../../onnx/data-types.js';
import { GraphIndex } from '../../onnx/graph.js';
import { inferKnown } from '../../onnx/infer.js';
import { DATA_TYPE, type Model } from '../../onnx/model.js';
import type { UnreadableItem } from '../../workloads/prepared.js';
import type { Workload, WorkloadItem } from '../../workloads/types.js';
import { type Calibrator, calibratorNamed, type MethodOptions } from './calibrators/index.js';
import { drawnItems } from './drawn-items.js';
import { gatherExtremes } from './gather/extremes.js';
import { gatherHistograms } from './gather/histograms.js';
import type { Pass, PassedItems } from './gather/run-items.js';
import type { Range } from './range.js';

export interface CalibrateOptions {
  /** Name of a calibrator. */
  readonly method: string;
  /** How many items of the calibration part are run, 200 unless told: drawn from it, all where it has no more. */
  readonly items?: number;
  readonly options?: MethodOptions;
  /** 0, the default, is one for each processor. */
  readonly threads?: number;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** What is worth knowing of a calibration, for the manifest. */
export interface CalibrationFacts {
  readonly method: string;
  /** Items that were run. */
  readonly items: number;
  readonly unreadable: readonly UnreadableItem[];
  readonly tensors: number;
  /** Tensors that had one value throughout: their ranges have no width. */
  readonly constant: readonly string[];
  readonly warnings: readonly string[];
}

export interface Calibration {
  /** The float range of each tensor, before it is made to include 0. */
  readonly ranges: ReadonlyMap<string, Range>;
  readonly facts: CalibrationFacts;
}

/**
 * Finds the ranges of a float model's activations on the calibration part of a workload's data.
 *
 * @param tensors names of float32 tensors of the model's graph: inputs and outputs of its nodes
 * @throws TierbedError `missing` when there are no calibration items; `invalid` when none can be read, the model cannot be
 *   run on one, a tensor does not exist or is not float32, an activation is NaN or infinite, or a range is wider than
 *   float32 can say; `cancelled`
 */
export async function calibrate(
  model: Model,
  tensors: readonly string[],
  workload: Workload,
  options: CalibrateOptions,
): Promise<Calibration> {
  const { method, items: limit = 200, threads = 0, progress = silent, signal } = options;
  const calibrator = calibratorNamed(method);
  checkOptions(options.options);
  const names = [...new Set(tensors)];
  checkTensors(model, names);
  const chosen = chosenItems(workload, limit);
  if (names.length === 0) {
    const facts = { method, items: 0, unreadable: [], tensors: 0, constant: [], warnings: [] };
    return { ranges: new Map(), facts };
  }
  const pass: Pass = { workload: { ...workload, calibration: chosen }, threads, progress, signal };
  const { ranges, items } = await rangesOf(calibrator, model, names, pass, options.options ?? {});
  checkRead(workload, items);
  for (const [name, range] of ranges) checkWidth(name, range);
  const constant = names.filter((name) => ranges.get(name)?.min === ranges.get(name)?.max);
  const warnings = oneClass(workload, items.labels);
  return {
    ranges,
    facts: {
      ...{ method, items: items.labels.length, unreadable: items.unreadable },
      ...{ tensors: names.length, constant, warnings },
    },
  };
}

async function rangesOf(
  calibrator: Calibrator,
  model: Model,
  names: readonly string[],
  pass: Pass,
  options: MethodOptions,
): Promise<{ ranges: ReadonlyMap<string, Range>; items: PassedItems }> {
  if (calibrator.needs === 'extremes') return gatherExtremes(model, names, pass);
  const { histograms, items } = await gatherHistograms(model, names, pass);
  const ranges = new Map<string, Range>();
  for (const [name, histogram] of histograms) {
    const { min, max } = histogram.range;
    ranges.set(name, min === max ? histogram.range : calibrator.range(histogram, options));
  }
  const empty = items.labels.length > 0 && names.find((name) => !ranges.has(name));
  if (empty) throw new TierbedError('invalid', `tensor '${empty}' has no elements on any calibration item`);
  return { ranges, items };
}

function checkOptions({ percentile }: MethodOptions = {}): void {
  if (percentile === undefined || (percentile > 50 && percentile <= 100)) return;
  throw new TierbedError('invalid', `the percentile ${percentile} is not above 50 and at most 100`, {
    fix: 'Give the share of values that stays within the range, in percent: 99.99.',
  });
}

function chosenItems({ name, calibration }: Workload, limit: number): readonly WorkloadItem[] {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new TierbedError('invalid', `calibration on ${limit} items: it takes a whole number from 1`);
  }
  if (calibration.length === 0) {
    throw new TierbedError('missing', `the workload '${name}' has no calibration items`, {
      fix: 'Give it a part for calibration: `split: { calibration: 200, ... }` in the workload.',
    });
  }
  return drawnItems(calibration, limit);
}

function checkTensors(model: Model, names: readonly string[]): void {
  const index = new GraphIndex(model.graph);
  const known = inferKnown(model, {});
  for (const name of names) {
    if (!index.has(name)) throw new TierbedError('invalid', `the model has no tensor '${name}' to calibrate`);
    const dtype = known.get(name)?.dtype;
    if (dtype === undefined || dtype === DATA_TYPE.float32) continue;
    throw new TierbedError(
      'invalid',
      `tensor '${name}' is ${dataTypeName(dtype)}: ranges are those of float32 tensors`,
    );
  }
}

function checkRead({ name }: Workload, { labels, unreadable }: PassedItems): void {
  const [first] = unreadable;
  if (labels.length > 0 || !first) return;
  throw new TierbedError(
    'invalid',
    `none of the ${unreadable.length} calibration items of '${name}' can be read: ${first.id}: ${first.reason}`,
    { fix: "Check the workload's data and its preprocessing." },
  );
}

/** A scale is worked out in float32. */
function checkWidth(tensor: string, { min, max }: Range): void {
  if (Number.isFinite(Math.fround(max - min))) return;
  throw new TierbedError('invalid', `tensor '${tensor}' ranges from ${min} to ${max}: wider than float32 can say`, {
    fix: 'Leave the nodes that use it in float: `excludeNodes`.',
  });
}

/** Ranges from one class may not hold for the others. */
function oneClass(workload: Workload, labels: readonly string[]): string[] {
  const [label] = labels;
  if (!label || labels.length < 2 || labels.some((other) => other !== label)) return [];
  const others = [...workload.calibration, ...workload.tuning, ...workload.items];
  if (others.every((item) => item.label === label)) return [];
  return [
    `all ${labels.length} calibration items are of one class, '${label}': the ranges may not hold for the others`,
  ];
}
