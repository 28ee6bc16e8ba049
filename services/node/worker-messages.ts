import type { ErrorKind } from '../../base/errors.js';
import type { LinkEncoding } from '../../onnx/encodings/link-encoding.js';
import type { TensorInfo } from '../../onnx/runtime/tensors.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import type { ExitRule } from '../../workloads/exit-rule.js';
import type { PreprocessSpec } from '../../workloads/types.js';
import type { CalibrationOrder } from './calibration-job.js';

/** What makes two sessions the same session; `key` is all of it in one string. */
export interface SessionSpec {
  readonly key: string;
  readonly modelPath: string;
  readonly engine: string;
  readonly threads: number;
  readonly graphOptimization: boolean;
}

/** One request to run. Tensors come from the caller, or from an encoded item, which is preprocessed first. */
export interface RunJob {
  /** Absent: nothing is run, the inputs are the answer. */
  readonly session?: SessionSpec | undefined;
  /** true: a session of its own, made for this request and ended with it. */
  readonly fresh: boolean;
  readonly item?: { readonly bytes: Uint8Array; readonly preprocess: PreprocessSpec } | undefined;
  readonly inputs: readonly NamedTensor[];
  /** The inputs are encoded: they are decoded first. */
  readonly decode?: boolean | undefined;
  /** How the outputs are encoded; absent: they stay as they are. */
  readonly encode?: LinkEncoding | undefined;
  /** When the request ends here; what it then gives is the answer, and not encoded. */
  readonly exit?: ExitRule | undefined;
}

/** Times are of the shared monotonic clock; see clock.ts. */
export interface RunResult {
  readonly outputs: readonly NamedTensor[];
  /** The worker took the job up. */
  readonly startNs: bigint;
  /** The worker was done and gave the answer back. */
  readonly endNs: bigint;
  readonly preprocessNs: number;
  /** What creating the session took and, where it was this request's own, ending it. */
  readonly loadNs: number;
  readonly decodeNs: number;
  readonly computeNs: number;
  readonly encodeNs: number;
  /** The outputs are the answer of the stage's exit. */
  readonly exited: boolean;
}

export interface OpenResult {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** What creating the session took. */
  readonly loadNs: number;
}

/** Requests to the worker thread and the answer to each. */
export interface Calls {
  run: { readonly argument: RunJob; readonly result: RunResult };
  /** Opens a session and keeps it; one that is open already is left alone. */
  open: { readonly argument: SessionSpec; readonly result: OpenResult };
  /** Runs an open session on zeros of its input shapes (symbolic dimensions 1); the time it took in ns. */
  warmUp: { readonly argument: { readonly key: string; readonly runs: number }; readonly result: number };
  /** Loads what a preprocessing needs, so that the first request does not wait for it. */
  prepare: { readonly argument: PreprocessSpec; readonly result: null };
  close: { readonly argument: { readonly key: string }; readonly result: null };
  /** Runs the calibration job; ms of each run. */
  calibrate: { readonly argument: CalibrationOrder; readonly result: { readonly tookMs: readonly number[] } };
  /** Name and version of the runtime behind an engine. */
  version: { readonly argument: string; readonly result: string };
}

export type CallName = keyof Calls;

export interface CallMessage<K extends CallName = CallName> {
  readonly id: number;
  readonly call: K;
  readonly argument: Calls[K]['argument'];
}

export type AnswerMessage =
  | { readonly id: number; readonly result: Calls[CallName]['result'] }
  | {
      readonly id: number;
      readonly error: { readonly kind: ErrorKind; readonly message: string; readonly fix: string | undefined };
    };
