import { env, InferenceSession } from 'onnxruntime-node';
import type { Engine } from '../engine.js';
import { ortSession } from './ort-session.js';

/** ONNX Runtime's own CPU kernels, through `onnxruntime-node`. */
export const native: Engine = {
  name: 'native',
  version: () => `onnxruntime-node ${(env.versions as { node?: string }).node ?? env.versions.common}`,
  open: (modelPath, options) =>
    ortSession(
      // By path: the runtime reads the file itself, and the model is not in this process's heap as well.
      InferenceSession.create(modelPath, {
        executionProviders: ['cpu'],
        intraOpNumThreads: options.threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: options.graphOptimization ? 'all' : 'disabled',
        // Errors reach the caller as exceptions; the runtime's own lines on stderr would break up the node's log.
        logSeverityLevel: 4,
        // Idle threads that spin take the CPU quota of their own tier, and in the local runtime that of the others:
        // 20 runs of MobileNetV2 with pauses between them cost 626 ms of CPU with spinning and 209 ms without.
        extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
      }),
    ),
};
