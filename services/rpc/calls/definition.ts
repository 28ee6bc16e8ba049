import type { MethodDefinition } from '@grpc/grpc-js';
import { type Decoded, decoder, identity, type Method } from '../method.js';

/** A method as grpc-js's server wants it: messages are encoded by whoever sends them, where errors can be caught. */
export function served<Request, Response>(
  method: Method<Request, Response>,
  streams: { readonly request?: boolean; readonly response?: boolean } = {},
): MethodDefinition<unknown, unknown> {
  const definition: MethodDefinition<Decoded<Request>, Buffer> = {
    path: method.path,
    requestStream: streams.request ?? false,
    responseStream: streams.response ?? false,
    requestSerialize: () => {
      throw new Error('a server sends no requests');
    },
    requestDeserialize: decoder(method.request),
    responseSerialize: identity,
    responseDeserialize: identity,
  };
  return definition as unknown as MethodDefinition<unknown, unknown>;
}
