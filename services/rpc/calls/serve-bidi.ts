import { once } from 'node:events';
import type { handleBidiStreamingCall } from '@grpc/grpc-js';
import { type Decoded, decoded, encodeForServer, type Handler, type Method } from '../method.js';
import type { ServedCall, ServerLimits } from '../server/service.js';
import { toStatus } from '../status.js';
import { contextOf } from './context.js';
import { served } from './definition.js';
import { messagesOf } from './serve-client-stream.js';

/**
 * A stream of requests, each answered in order before the next is read. `failed` makes the answer to a request that could
 * not be read, handled or answered; the stream goes on.
 */
export function serveBidi<Request, Response>(
  method: Method<Request, Response>,
  handler: Handler<Request, Response>,
  failed: (error: unknown) => Response,
): (limits: ServerLimits) => ServedCall {
  return ({ maxMessageBytes }) => {
    const handle: handleBidiStreamingCall<Decoded<Request>, Buffer> = async (call) => {
      const context = contextOf(call);
      const answer = async (request: Decoded<Request>): Promise<Buffer> => {
        try {
          return encodeForServer(method.response, await handler(decoded(request), context), maxMessageBytes);
        } catch (error) {
          return encodeForServer(method.response, failed(error), maxMessageBytes);
        }
      };
      try {
        for await (const request of messagesOf<Request>(call, context.signal)) {
          if (!call.write(await answer(request))) await once(call, 'drain', { signal: context.signal });
        }
        context.answered();
        call.end();
      } catch (error) {
        if (!context.signal.aborted) call.emit('error', toStatus(error));
      }
    };
    return { method: served(method, { request: true, response: true }), handle };
  };
}
