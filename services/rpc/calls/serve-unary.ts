import type { handleUnaryCall } from '@grpc/grpc-js';
import { type Decoded, decoded, encodeWithin, type Handler, type Method } from '../method.js';
import type { ServedCall, ServerLimits } from '../service.js';
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
      let response: Buffer;
      try {
        response = encodeWithin(
          method.response,
          await handler(decoded(call.request), contextOf(call)),
          maxMessageBytes,
        );
      } catch (error) {
        callback(toStatus(error));
        return;
      }
      callback(null, response);
    };
    return { method: served(method), handle };
  };
}
