import type { Model } from '../../onnx/model.js';
import type { Profile } from '../../onnx/runtime/profile.js';
import type { Cpu } from './cpu.js';
import type { NodeWork } from './node-work.js';

/** A model that was measured, for the reasons to look at. */
export interface Examined {
  readonly path: string;
  /** As its file has it. */
  readonly model: Model;
  readonly profile: Profile;
  /** The profile's nodes in its order, with the work that each did. */
  readonly work: readonly NodeWork[];
  /** Median of a run without profiling; beside another model, of runs in turn with its. */
  readonly runMs: number;
  /** The same with one thread; undefined where there is but one. */
  readonly oneThreadMs: number | undefined;
}

/** Everything that a reason may look at. */
export interface Findings {
  readonly variant: Examined;
  /** What the variant is compared with: the model that it was made of. */
  readonly original: Examined | undefined;
  readonly cpu: Cpu;
  /** Threads of a run. */
  readonly threads: number;
  /** Bytes read and written in a millisecond by a copy of a tensor of usual size; see `copyRate`. */
  readonly copiedPerMs: number;
}
