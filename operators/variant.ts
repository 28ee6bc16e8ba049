import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { LinkEncoding } from '../onnx/encodings/link-encoding.js';
import type { ExitRule } from '../workloads/exit-rule.js';

/** One file of a model. */
export interface ModelFile {
  /** Where it is here. */
  readonly path: string;
  /** The path it must have beside the model's other files: external data is found by it. */
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** A submodel that runs on one node: its ONNX file first, then the files of its external data. */
export interface StageModel {
  readonly files: readonly ModelFile[];
  /** When a request ends at this stage: it is the answer of those that are sure enough. The last stage has none. */
  readonly exit?: ExitRule;
  /** How its outputs are encoded on their way to the next stage; absent: as the study says of the link. */
  readonly encoding?: LinkEncoding;
}

/** One operator of a recipe with its options. */
export interface Step {
  readonly operator: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** The workloads that it is for, by name; all unless said otherwise. */
  readonly for?: readonly string[];
}

/** What an operator says of what it did: plain data, for the manifest. */
export type Facts = Readonly<Record<string, unknown>>;

/** A step that was taken. */
export interface TakenStep extends Omit<Step, 'for'> {
  /** The operator's own. */
  readonly version: number;
  /** What it took when it was taken: a cached step keeps its time. */
  readonly tookMs: number;
  /** Whether it was found in the cache. */
  readonly cached: boolean;
  readonly facts: Facts;
}

/** What a recipe made of a model, and where it came from. */
export interface Variant {
  /** The recipe's name; an operator that gives several variants adds to it. */
  readonly name: string;
  readonly stages: readonly StageModel[];
  /** The steps taken so far. */
  readonly steps: readonly TakenStep[];
}

/** What an operator makes of a variant; the recipe adds the step. */
export interface Made extends Omit<Variant, 'steps'> {
  readonly facts?: Facts;
}

/** The sha256 of a file in lower-case hex, and its length; reads it as a stream. */
export async function hashFile(path: string): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return { sha256: hash.digest('hex'), bytes: (await stat(path)).size };
}
