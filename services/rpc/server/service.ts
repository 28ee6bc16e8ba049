import type { MethodDefinition, UntypedHandleCall } from '@grpc/grpc-js';

/** One call as grpc-js's server wants it. */
export interface ServedCall {
  readonly method: MethodDefinition<unknown, unknown>;
  readonly handle: UntypedHandleCall;
}

/** What a call needs to know of its server. */
export interface ServerLimits {
  readonly maxMessageBytes: number;
}

/** A service with what answers its calls. */
export interface RpcService {
  /** With its package: `inference.GRPCInferenceService`. */
  readonly name: string;
  /** The file of `proto/` that it comes from, for reflection. */
  readonly proto: string;
  readonly calls: readonly ((limits: ServerLimits) => ServedCall)[];
}
