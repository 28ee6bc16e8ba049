import { once } from 'node:events';
import type { handleBidiStreamingCall } from '@grpc/grpc-js';
import { type Decoded, encodeWithin, type Handler, type Method } from '../method.js';
import type { ServedCall, ServerLimits } from '../service.js';
import { toStatus } from '../status.js';
import { contextOf } from './context.js';
import { served } from './definition.js';
import { requestsOf } from './serve-client-stream.js';

/** A stream of requests, each answered in order before the next is read. */
export function serveBidi<Request, Response>(
  method: Method<Request, Response>,
  handler: Handler<Request, Response>,
): (limits: ServerLimits) => ServedCall {
  return ({ maxMessageBytes }) => {
    const handle: handleBidiStreamingCall<Decoded<Request>, Buffer> = async (call) => {
      const context = contextOf(call);
      try {
        for await (const request of requestsOf<Request>(call, context.signal)) {
          const response = encodeWithin(method.response, await handler(request, context), maxMessageBytes);
          if (!call.write(response)) await once(call, 'drain', { signal: context.signal });
        }
        call.end();
      } catch (error) {
        if (!context.signal.aborted) call.emit('error', toStatus(error));
      }
    };
    return { method: served(method, { request: true, response: true }), handle };
  };
}
