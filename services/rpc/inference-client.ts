import { callUnary } from './calls/call-unary.js';
import type { CallOptions, RpcChannel } from './channel.js';
import type { InferRequest, InferResponse } from './codec/messages.js';
import { inferenceMethods, type ModelIndexEntry, type ModelMetadata, type ServerMetadata } from './inference.js';

/** Calls the data plane of a node, or any server of the Open Inference Protocol v2. Errors are those of `callUnary`. */
export class InferenceClient {
  readonly channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.channel = channel;
  }

  /**
   * Runs one inference; `received` of the response says when it came in. The tensors are sent from where they lie: they
   * must not be changed or transferred until the answer is there.
   */
  infer(request: InferRequest, options?: CallOptions): Promise<InferResponse> {
    return callUnary(this.channel, inferenceMethods.modelInfer, request, options);
  }

  async live(options?: CallOptions): Promise<boolean> {
    return (await callUnary(this.channel, inferenceMethods.serverLive, {}, options)).live;
  }

  async ready(options?: CallOptions): Promise<boolean> {
    return (await callUnary(this.channel, inferenceMethods.serverReady, {}, options)).ready;
  }

  async modelReady(name: string, version = '', options?: CallOptions): Promise<boolean> {
    return (await callUnary(this.channel, inferenceMethods.modelReady, { name, version }, options)).ready;
  }

  serverMetadata(options?: CallOptions): Promise<ServerMetadata> {
    return callUnary(this.channel, inferenceMethods.serverMetadata, {}, options);
  }

  modelMetadata(name: string, version = '', options?: CallOptions): Promise<ModelMetadata> {
    return callUnary(this.channel, inferenceMethods.modelMetadata, { name, version }, options);
  }

  async repositoryIndex(onlyReady = false, options?: CallOptions): Promise<readonly ModelIndexEntry[]> {
    const request = { repositoryName: '', ready: onlyReady };
    return (await callUnary(this.channel, inferenceMethods.repositoryIndex, request, options)).models;
  }

  async repositoryModelLoad(modelName: string, options?: CallOptions): Promise<void> {
    await callUnary(this.channel, inferenceMethods.repositoryModelLoad, { repositoryName: '', modelName }, options);
  }

  async repositoryModelUnload(modelName: string, options?: CallOptions): Promise<void> {
    await callUnary(this.channel, inferenceMethods.repositoryModelUnload, { repositoryName: '', modelName }, options);
  }
}
