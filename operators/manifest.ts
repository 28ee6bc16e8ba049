import { version } from '../base/paths.js';
import type { Metric } from '../workloads/metrics/index.js';
import type { UnreadableItem } from '../workloads/prepared.js';
import type { Workload, WorkloadPart } from '../workloads/types.js';
import type { Score } from './evaluate.js';
import type { StageFigures } from './figures.js';
import type { ModelFile, StageModel, TakenStep, Variant } from './variant.js';

/** A file of a manifest: its name is relative to the manifest's folder. */
export type ManifestFile = Omit<ModelFile, 'path'>;

/** A model, or a stage of one. */
export interface ManifestStage extends StageFigures, Omit<StageModel, 'files'> {
  readonly files: readonly ManifestFile[];
  /** Of all its files. */
  readonly bytes: number;
}

/** A model or all stages of one. */
export interface ManifestTotals {
  readonly bytes: number;
  readonly parameters: number;
  readonly macs: number | null;
}

/** What a variant, or what it was made of, is worth. */
export interface ManifestScore {
  /** Null where the data has no labels. */
  readonly value: number | null;
  /** Items that were answered. */
  readonly n: number;
  readonly unreadable: readonly UnreadableItem[];
  /** Answers that came from each stage's exit; empty for a variant without exits. */
  readonly exits: readonly number[];
}

export interface ManifestAccuracy {
  readonly metric: string;
  /** `fraction`: 0 to 1. */
  readonly unit: Metric['unit'];
  readonly part: 'evaluation';
  readonly before: ManifestScore;
  readonly after: ManifestScore;
  /** In points for fractions; below 0 where it became better; null where one has no value. */
  readonly drop: number | null;
}

export interface ManifestCost {
  readonly wallMs: number;
  readonly buildMs: number;
  readonly evaluateMs: number;
  /** The largest resident set that the process had up to here. */
  readonly peakMemoryBytes: number;
}

/** Where a variant came from and what it is worth: `manifest.json` beside its models. docs/manifest.schema.json says the same. */
export interface Manifest {
  /** Of this format. */
  readonly manifest: 1;
  readonly name: string;
  readonly tierbed: string;
  readonly runtime: string;
  readonly node: string;
  readonly platform: string;
  readonly createdAt: string;
  readonly threads: number;
  readonly workload: {
    readonly name: string;
    readonly metric: string;
    readonly items: Readonly<Record<WorkloadPart, number>>;
    readonly preprocess: Workload['preprocess'];
    readonly postprocess: Workload['postprocess'];
  };
  readonly input: ManifestStage;
  readonly recipe: readonly TakenStep[];
  readonly stages: readonly ManifestStage[];
  readonly output: ManifestTotals;
  /** Null where it was not evaluated. */
  readonly accuracy: ManifestAccuracy | null;
  readonly cost: ManifestCost;
}

/** What the model was worth before, and the variant is. */
export interface ManifestScores extends Pick<ManifestAccuracy, 'unit' | 'drop'> {
  readonly before: Score;
  readonly after: Score;
}

export interface ManifestParts {
  readonly workload: Workload;
  readonly variant: Pick<Variant, 'name' | 'steps'>;
  readonly input: { readonly stage: StageModel; readonly figures: StageFigures };
  /** As they were written. */
  readonly stages: readonly { readonly stage: StageModel; readonly figures: StageFigures }[];
  readonly scores: ManifestScores | undefined;
  readonly cost: ManifestCost;
  readonly runtime: string;
  readonly threads: number;
  readonly createdAt: Date;
}

/** Puts a manifest together. */
export function manifestOf(parts: ManifestParts): Manifest {
  const { workload, variant, scores } = parts;
  const stages = parts.stages.map(stageOf);
  const macs = stages.map((stage) => stage.macs);
  return {
    manifest: 1,
    name: variant.name,
    tierbed: version,
    runtime: parts.runtime,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    createdAt: parts.createdAt.toISOString(),
    threads: parts.threads,
    workload: {
      name: workload.name,
      metric: workload.metric,
      items: {
        training: workload.training.length,
        calibration: workload.calibration.length,
        tuning: workload.tuning.length,
        evaluation: workload.items.length,
      },
      preprocess: workload.preprocess,
      postprocess: workload.postprocess,
    },
    input: stageOf(parts.input),
    recipe: variant.steps,
    stages,
    output: {
      bytes: sum(stages.map((stage) => stage.bytes)),
      parameters: sum(stages.map((stage) => stage.parameters)),
      macs: macs.every((value) => value !== null) ? sum(macs) : null,
    },
    accuracy: scores
      ? {
          metric: workload.metric,
          unit: scores.unit,
          part: 'evaluation',
          before: scoreOf(scores.before),
          after: scoreOf(scores.after),
          drop: scores.drop,
        }
      : null,
    cost: parts.cost,
  };
}

function stageOf({ stage, figures }: ManifestParts['input']): ManifestStage {
  const { files, ...rest } = stage;
  const described = files.map(({ name, sha256, bytes }) => ({ name, sha256, bytes }));
  return { files: described, bytes: sum(files.map(({ bytes }) => bytes)), ...figures, ...rest };
}

function scoreOf({ value, n, unreadable, exits }: Score): ManifestScore {
  return { value, n, unreadable, exits };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
