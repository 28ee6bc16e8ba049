import { firstInputs } from '../../workloads/prepared.js';
import type { OperatorContext } from '../operator.js';
import type { StageModel } from '../variant.js';
import { drawnItems } from './drawn-items.js';
import { Sample } from './guard/sample.js';
import { int8Share } from './int8-share.js';

/** What a quantised model turned out to be when it was run. */
export interface MadeFacts {
  /** The squared error of its outputs on some calibration items, as a share of the float model's squared outputs. */
  readonly outputError: number;
  /** Share of its compute time in int8 kernels, in conversions and in float kernels, and the time by kernel in ms. */
  readonly int8: {
    readonly share: number;
    readonly conversionShare: number;
    readonly byKernel: Readonly<Record<string, number>>;
  };
  readonly warnings: readonly string[];
}

/** Enough to see a model that is wrong; what the rest costs is measured by the metric. */
const ITEMS = 8;

/** Runs that the profile is the median of. */
const RUNS = 5;

/** From here on the outputs are hardly the float model's: 10 dB. */
const LARGE_ERROR = 0.1;

/**
 * Runs a quantised model beside the float one on some calibration items, and profiles it: no model is handed on that
 * cannot run, and one that is far off or gains nothing says so.
 *
 * @throws TierbedError `invalid` when either cannot be run; `cancelled`
 */
export async function checkMade(float: StageModel, made: StageModel, context: Running): Promise<MadeFacts> {
  const { workload, threads, signal } = context;
  const some = drawnItems(workload.calibration, ITEMS);
  const sample = await Sample.of(float, { ...workload, tuning: some }, threads, signal);
  const outputError = await sample.errorOf(made);
  const { int8, warnings } = await checkInt8(made, context);
  const far: string[] = [];
  if (outputError > LARGE_ERROR) {
    const percent = (100 * outputError).toFixed(0);
    far.push(`its outputs are far from the float model's: the error has ${percent} % of their power`);
  }
  return { outputError, int8, warnings: [...far, ...warnings] };
}

type Running = Pick<OperatorContext, 'workload' | 'threads' | 'signal'>;

/**
 * Profiles a quantised model on a calibration item.
 *
 * @throws TierbedError `invalid` when it cannot be run; `cancelled`
 */
export async function checkInt8(
  made: StageModel,
  { workload, threads, signal }: Running,
): Promise<Pick<MadeFacts, 'int8' | 'warnings'>> {
  const some = drawnItems(workload.calibration, ITEMS);
  const inputs = await firstInputs({ ...workload, calibration: some }, 'calibration', signal);
  const path = made.files[0]?.path as string;
  const measured = await int8Share(path, inputs, { threads, runs: RUNS, warmUp: 1, signal });
  const { share, int8Ms, conversionMs, floatMs, byKernel } = measured;
  const all = int8Ms + conversionMs + floatMs || 1;
  return {
    int8: {
      ...{ share, conversionShare: conversionMs / all },
      byKernel: Object.fromEntries(byKernel.map(({ kernel, ms }) => [kernel, ms])),
    },
    warnings: share === 0 ? ['no kernel of it runs in int8 here'] : [],
  };
}
