import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { handleClientStreamingCall } from '@grpc/grpc-js';
import { type Decoded, decoded, encodeForServer, type Handler, type Method } from '../method.js';
import type { ServedCall, ServerLimits } from '../server/service.js';
import { toStatus } from '../status.js';
import { contextOf } from './context.js';
import { served } from './definition.js';

/** Many requests, one response. The handler takes requests as it can: the sender is held back until it asks for more. */
export function serveClientStream<Request, Response>(
  method: Method<Request, Response>,
  handler: Handler<AsyncIterable<Request>, Response>,
): (limits: ServerLimits) => ServedCall {
  return ({ maxMessageBytes }) => {
    const handle: handleClientStreamingCall<Decoded<Request>, Buffer> = async (call, callback) => {
      const context = contextOf(call);
      let response: Buffer;
      try {
        const requests = requestsOf<Request>(call, context.signal);
        response = encodeForServer(method.response, await handler(requests, context), maxMessageBytes);
      } catch (error) {
        context.answered();
        callback(toStatus(error));
        return;
      }
      context.answered();
      callback(null, response);
    };
    return { method: served(method, { request: true }), handle };
  };
}

async function* requestsOf<Request>(call: Readable, signal: AbortSignal): AsyncGenerator<Request> {
  for await (const request of messagesOf<Request>(call, signal)) yield decoded(request);
}

/** What a call's client sends until it has no more; a client that goes away ends it with the signal's reason. */
export async function* messagesOf<Request>(call: Readable, signal: AbortSignal): AsyncGenerator<Decoded<Request>> {
  try {
    // Not `for await (... of call)`: that destroys the stream at its end, and a duplex call could not be answered any more.
    for await (const request of call.iterator({ destroyOnReturn: false })) yield request as Decoded<Request>;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  // A client that goes away ends its stream first and cancels its call right after.
  await setImmediate();
  signal.throwIfAborted();
}
