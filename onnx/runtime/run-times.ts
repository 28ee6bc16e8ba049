import { TierbedError } from '../../base/errors.js';
import type { NamedTensor } from '../tensor.js';
import { type ModelSession, openModel } from './session.js';

/** A model's file, and the inputs of its runs, which take turns. */
export interface TimedModel {
  readonly path: string;
  readonly inputs: readonly (readonly NamedTensor[])[];
}

export interface RunTimesOptions {
  /** 0, the default, is one for each processor. */
  readonly threads?: number;
  /** Measured runs of each; 20 unless told. */
  readonly runs?: number;
  /** Runs of each before these; 3 unless told. */
  readonly warmUp?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Times of models' runs in milliseconds, side by side: all are open at once and run in turn, and who is first changes
 * from round to round, so that what else the machine does meets all of them. Threads do not spin, as in a node.
 *
 * @returns every measured run, model by model
 * @throws TierbedError `invalid` when the runtime refuses a model or its inputs; `cancelled`
 */
export async function runTimes(
  models: readonly TimedModel[],
  options: RunTimesOptions = {},
): Promise<readonly (readonly number[])[]> {
  const { threads = 0, runs = 20, warmUp = 3, signal } = options;
  const sessions: ModelSession[] = [];
  try {
    for (const { path } of models) sessions.push(await openModel(path, { threads, spinning: false }));
    const times = models.map((): number[] => []);
    for (let round = 0; round < warmUp + runs; round++) {
      for (let turn = 0; turn < models.length; turn++) {
        if (signal?.aborted) throw new TierbedError('cancelled', 'timing models was cancelled');
        const i = (turn + round) % models.length;
        const { inputs } = models[i] as TimedModel;
        const given = inputs[round % inputs.length] ?? [];
        const startMs = performance.now();
        await sessions[i]?.run(given);
        if (round >= warmUp) times[i]?.push(performance.now() - startMs);
      }
    }
    return times;
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
  }
}
