import type { handleServerStreamingCall } from '@grpc/grpc-js';
import { type CallContext, type Decoded, decoded, encodeForServer, type Method } from '../method.js';
import type { ServedCall, ServerLimits } from '../server/service.js';
import { toStatus } from '../status.js';
import { contextOf } from './context.js';
import { served } from './definition.js';

/** One request, many small responses: `handler` calls `send` for each until the signal aborts. */
export function serveServerStream<Request, Response>(
  method: Method<Request, Response>,
  handler: (request: Request, send: (response: Response) => void, context: CallContext) => Promise<void>,
): (limits: ServerLimits) => ServedCall {
  return ({ maxMessageBytes }) => {
    const handle: handleServerStreamingCall<Decoded<Request>, Buffer> = async (call) => {
      const context = contextOf(call);
      try {
        const send = (response: Response) => call.write(encodeForServer(method.response, response, maxMessageBytes));
        await handler(decoded(call.request), send, context);
        context.answered();
        call.end();
      } catch (error) {
        if (!context.signal.aborted) call.emit('error', toStatus(error));
      }
    };
    return { method: served(method, { response: true }), handle };
  };
}
