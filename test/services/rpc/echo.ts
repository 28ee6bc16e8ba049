import { TierbedError } from '../../../base/errors.js';
import type { InferRequest, InferResponse } from '../../../services/rpc/codec/messages.js';
import { type InferenceHandlers, inferenceService } from '../../../services/rpc/inference.js';
import { type RpcServer, type RpcServerOptions, startRpcServer } from '../../../services/rpc/server/server.js';

/** Answers with the inputs. */
export async function echo(request: InferRequest): Promise<InferResponse> {
  return {
    modelName: request.modelName,
    ...(request.id !== undefined && { id: request.id }),
    parameters: request.parameters,
    outputs: request.inputs,
    sending: { stamp: true },
  };
}

/** An inference server for tests that echoes, but for what `handlers` say. */
export function startEcho(
  handlers: Partial<InferenceHandlers> = {},
  options: Partial<RpcServerOptions> = {},
): Promise<RpcServer> {
  const all: InferenceHandlers = {
    serverLive: async () => ({ live: true }),
    serverReady: async () => ({ ready: true }),
    modelReady: async ({ name }) => ({ ready: name === 'echo' }),
    serverMetadata: async () => ({ name: 'tierbed', version: '1', extensions: ['a'] }),
    modelMetadata: async ({ name }) => {
      if (name !== 'echo') throw new TierbedError('missing', `no model ${name} — here`, { fix: 'deploy it — first' });
      const tensor = { name: 'x', datatype: 'FP32', shape: [-1, 3] };
      return { name, versions: ['1'], platform: 'none', inputs: [tensor], outputs: [tensor] };
    },
    modelInfer: echo,
    repositoryIndex: async ({ ready }) => ({
      models: [{ name: 'echo', version: '1', state: ready ? 'READY' : 'LOADING', reason: '' }],
    }),
    repositoryModelLoad: async () => ({}),
    repositoryModelUnload: async ({ modelName }) => {
      throw new TierbedError('refused', `${modelName} is in use`);
    },
    ...handlers,
  };
  return startRpcServer({ host: '127.0.0.1', port: 0, ...options, services: [inferenceService(all)] });
}
