import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { binomialRange } from '../../analysis/stats/binomial-range.js';

/** What a model is worth that was trained here. */
export interface TrainedRecord {
  /** On the evaluation part, 0 to 1. */
  readonly accuracy: number;
  readonly items: number;
  /** Where the accuracy of one that is trained again must lie. */
  readonly interval: readonly [low: number, high: number];
  readonly parameters: number;
  /** Of its ONNX files. */
  readonly bytes: number;
  /** What training it took. */
  readonly seconds: number;
  /** Keys of the steps that were trained, in `steps/`. */
  readonly steps: readonly string[];
}

/** By the name of a network, or of a recipe. */
export type WorkloadRecord = Readonly<Record<string, TrainedRecord>>;

/** `record.json` of the kept folder: by workload. */
export type OwnRecord = Readonly<Record<string, WorkloadRecord>>;

export const RECORD_FILE = 'record.json';

/** What a folder says that it keeps; nothing where it keeps nothing. */
export async function readRecord(folder: string): Promise<OwnRecord> {
  const text = await readFile(join(folder, RECORD_FILE), 'utf8').catch(() => '{}');
  return JSON.parse(text) as OwnRecord;
}

/**
 * Where an accuracy is looked for when the same is trained again: on another processor sums round otherwise, which is as
 * good as another seed. The range of a count of that chance, 99 of 100.
 */
export function intervalOf(accuracy: number, items: number): readonly [number, number] {
  const { low, high } = binomialRange(items, accuracy, 0.99);
  return [low / items, high / items];
}

/** What is not where it was stated, in words. */
export function outside(stated: OwnRecord, made: OwnRecord): readonly string[] {
  return Object.entries(made).flatMap(([workload, records]) =>
    Object.entries(records).flatMap(([name, { accuracy }]) => {
      const [low, high] = stated[workload]?.[name]?.interval ?? [0, 1];
      if (accuracy >= low && accuracy <= high) return [];
      const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
      return [`${workload} ${name}: ${percent(accuracy)} is not within ${percent(low)} to ${percent(high)}`];
    }),
  );
}
