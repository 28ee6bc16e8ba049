import type { handleUnaryCall } from '@grpc/grpc-js';
import { type Decoded, decoded, encodeForServer, type Handler, type Method } from '../method.js';
import type { ServedCall, ServerLimits } from '../server/service.js';
import { toStatus } from '../status.js';
import { contextOf } from './context.js';
import { served } from './definition.js';

/** One request, one response. */
export function serveUnary<Request, Response>(
  method: Method<Request, Response>,
  handler: Handler<Request, Response>,
): (limits: ServerLimits) => ServedCall {
  return ({ maxMessageBytes }) => {
    const handle: handleUnaryCall<Decoded<Request>, Buffer> = async (call, callback) => {
      const context = contextOf(call);
      let response: Buffer;
      try {
        response = encodeForServer(method.response, await handler(decoded(call.request), context), maxMessageBytes);
      } catch (error) {
        context.answered();
        callback(toStatus(error));
        return;
      }
      context.answered();
      callback(null, response);
    };
    return { method: served(method), handle };
  };
}
