import type { TensorInfo } from '../../onnx/runtime/tensors.js';
import type { NamedTensor } from '../../onnx/tensor.js';

/** How a session is to be made. */
export interface SessionOptions {
  readonly threads: number;
  /** false: every graph optimisation off, so that a cut model equals the whole bit for bit. */
  readonly graphOptimization: boolean;
}

/** Something that runs tensors through one model. */
export interface EngineSession {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Outputs in the model's order. @throws TierbedError `invalid` on a wrong name, dtype or shape */
  run(inputs: readonly NamedTensor[]): Promise<readonly NamedTensor[]>;
  close(): Promise<void>;
}

/** An execution engine: one file in `engines/`, one line in its table. Lives in the node's worker thread. */
export interface Engine {
  readonly name: string;
  /** Version of the runtime under it. */
  version(): string;
  /** @throws TierbedError `invalid` when the model is damaged or not supported */
  open(modelPath: string, options: SessionOptions): Promise<EngineSession>;
}
