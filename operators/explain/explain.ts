import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { TierbedError } from '../../base/errors.js';
import { median } from '../../base/median.js';
import { type Progress, silent } from '../../base/progress.js';
import { readModel } from '../../onnx/read.js';
import { acceptedInputsOf } from '../../onnx/runtime/made-up-inputs.js';
import { profileModel } from '../../onnx/runtime/profile.js';
import { runTimes } from '../../onnx/runtime/run-times.js';
import { openModel } from '../../onnx/runtime/session.js';
import { describe, type TensorInfo } from '../../onnx/runtime/tensors.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import { type Int8Share, shareOf } from '../quantise/int8-share.js';
import { copyRate } from './copy-rate.js';
import { type Cpu, thisCpu } from './cpu.js';
import type { Examined, Findings } from './examined.js';
import { type NodeWork, nodeWork } from './node-work.js';
import { REASONS } from './reasons/index.js';
import type { Reason } from './reasons/reason.js';

export interface ExplainOptions {
  /** What the model is compared with: the one that it was made of. */
  readonly against?: string | undefined;
  /** Items' inputs, which take turns; made up unless given. */
  readonly inputs?: readonly (readonly NamedTensor[])[] | undefined;
  /** Sizes of free dimensions of made-up inputs, by symbol. */
  readonly dims?: Readonly<Record<string, number>> | undefined;
  /** 0, the default, is one for each processor. */
  readonly threads?: number;
  /** Measured runs of each kind; 20 unless told. */
  readonly runs?: number;
  readonly progress?: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** Where a model's time goes. All times are medians, in milliseconds. */
export interface ExplainedModel {
  readonly path: string;
  readonly bytes: number;
  /** A run as its caller sees it. */
  readonly runMs: number;
  /** The same with one thread; null where there is but one. */
  readonly oneThreadMs: number | null;
  /** A run with profiling on, which costs time. */
  readonly profiledRunMs: number;
  /** Sum of the nodes' times. */
  readonly nodesMs: number;
  readonly int8: Int8Share;
  /** Every node of the optimised graph, in the order in which they ran. */
  readonly nodes: readonly ExplainedNode[];
}

export type ExplainedNode = Pick<NodeWork, 'name' | 'kernel' | 'precision' | 'ms' | 'waitMs' | 'macs' | 'bytes'>;

export interface Explanation {
  readonly model: ExplainedModel;
  readonly against: ExplainedModel | null;
  /** Time of a run over that of what it is compared with: above 1, the model is slower. */
  readonly ratio: number | null;
  /** The costliest first. Their times overlap: one node may be in several. */
  readonly reasons: readonly Reason[];
  readonly cpu: Omit<Cpu, 'dotProducts'> & { readonly dotProducts: readonly string[] | null };
  readonly threads: number;
  readonly runs: number;
}

/**
 * Measures where a model's time goes and, beside the model that it was made of, why it is not faster.
 *
 * @throws TierbedError as `profileModel`; `invalid` when both do not take the same inputs
 */
export async function explain(path: string, options: ExplainOptions = {}): Promise<Explanation> {
  const { against, progress = silent, signal, runs = 20 } = options;
  const threads = options.threads || availableParallelism();
  const paths = [path, ...(against === undefined ? [] : [against])];
  const infos = await Promise.all(paths.map(inputsOf));
  if (infos[1]) mustFit(path, infos[0] as readonly TensorInfo[], against as string, infos[1]);
  const inputs: (readonly (readonly NamedTensor[])[])[] = [];
  for (const each of paths)
    inputs.push(options.inputs?.length ? options.inputs : [await acceptedInputsOf(each, options)]);
  const models = paths.map((each, i) => ({ path: each, inputs: inputs[i] ?? [] }));

  progress.start('measuring', paths.length + 2);
  let done = 0;
  const step = (): void => progress.update(++done);
  try {
    const times = await runTimes(models, { threads, runs, signal });
    step();
    const single = threads > 1 ? await runTimes(models, { threads: 1, runs, signal }) : undefined;
    step();
    const examined: Examined[] = [];
    for (const [i, model] of models.entries()) {
      const profile = await profileModel(model.path, { threads, runs, inputs: model.inputs, signal });
      examined.push({
        path: model.path,
        model: await readModel(model.path),
        profile,
        work: nodeWork(profile),
        runMs: median(times[i] ?? []),
        oneThreadMs: single && median(single[i] ?? []),
      });
      step();
    }
    const [variant, original] = examined as [Examined, Examined | undefined];
    const cpu = await thisCpu();
    const findings: Findings = { variant, original, cpu, threads, copiedPerMs: copyRate(usualBytes(variant)) };
    return {
      model: await explained(variant),
      against: original ? await explained(original) : null,
      ratio: original ? variant.runMs / original.runMs : null,
      reasons: reasonsFor(findings),
      cpu: { ...cpu, dotProducts: cpu.dotProducts ?? null },
      threads,
      runs,
    };
  } finally {
    progress.stop();
  }
}

/** All reasons that hold, the costliest first. */
export function reasonsFor(findings: Findings): readonly Reason[] {
  return REASONS.flatMap((find) => find(findings) ?? []).sort((a, b) => b.ms - a.ms);
}

async function inputsOf(path: string): Promise<readonly TensorInfo[]> {
  await readModel(path);
  const session = await openModel(path, { threads: 1, graphOptimization: false });
  try {
    return session.inputs;
  } finally {
    await session.close();
  }
}

/** A variant takes what its model takes. @throws TierbedError `invalid` naming the input that is not in both */
function mustFit(path: string, variant: readonly TensorInfo[], against: string, original: readonly TensorInfo[]): void {
  const signatures = (infos: readonly TensorInfo[]) => new Map(infos.map((info) => [info.name, info]));
  const [mine, theirs] = [signatures(variant), signatures(original)];
  for (const name of new Set([...mine.keys(), ...theirs.keys()])) {
    const [a, b] = [mine.get(name), theirs.get(name)];
    if (a && b && a.shape.length === b.shape.length && a.shape.every((dim, i) => fits(dim, b.shape[i]))) continue;
    const said = (info: TensorInfo | undefined): string => (info ? `is ${describe(info)}` : 'is not there');
    throw new TierbedError('invalid', `input "${name}" ${said(a)} in ${path} and ${said(b)} in ${against}`, {
      fix: 'Compare a model with the one that it was made of: both must take the same inputs.',
    });
  }
}

function fits(a: number | string, b: number | string | undefined): boolean {
  return a === b || typeof a === 'string' || typeof b === 'string';
}

async function explained({ path, profile, work, runMs, oneThreadMs }: Examined): Promise<ExplainedModel> {
  return {
    path,
    bytes: (await stat(path)).size,
    runMs,
    oneThreadMs: oneThreadMs ?? null,
    profiledRunMs: profile.profiledRunMs,
    nodesMs: profile.nodesMs,
    int8: shareOf(work),
    nodes: work.map(({ name, kernel, precision, ms, waitMs, macs, bytes }) => {
      return { name, kernel, precision, ms, waitMs, macs, bytes };
    }),
  };
}

/** What a node of the model usually moves: half of all bytes are moved by nodes that move more. Within reason. */
function usualBytes({ work }: Examined): number {
  const sorted = work.map(({ bytes }) => bytes).sort((a, b) => b - a);
  let left = sorted.reduce((sum, bytes) => sum + bytes, 0) / 2;
  const usual = sorted.find((bytes) => {
    left -= bytes;
    return left <= 0;
  });
  // A copy reads as much as it writes.
  return Math.min(Math.max(Math.ceil((usual ?? 0) / 2), 1 << 16), 1 << 26);
}
