import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common';
import { fromOrt, type OrtMetadata, runtimeError, tensorInfos, toOrt } from '../../../onnx/runtime/tensors.js';
import type { EngineSession } from '../engine.js';

/** What both builds of ONNX Runtime have in common once a session is made. */
export async function ortSession(create: Promise<InferenceSession>): Promise<EngineSession> {
  let session: InferenceSession;
  try {
    session = await create;
  } catch (error) {
    throw runtimeError('the model could not be opened', error);
  }
  try {
    const inputs = tensorInfos(session.inputMetadata as readonly OrtMetadata[]);
    const outputs = tensorInfos(session.outputMetadata as readonly OrtMetadata[]);
    return {
      inputs,
      outputs,
      async run(tensors) {
        const feeds = toOrt(tensors, inputs);
        try {
          const results = await session.run(feeds);
          return outputs.map(({ name }) => fromOrt(name, results[name] as OrtTensor));
        } catch (error) {
          throw runtimeError('the model could not be run', error);
        }
      },
      close: () => session.release(),
    };
  } catch (error) {
    await session.release();
    throw error;
  }
}
