import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { CallOptions, RpcChannel } from '../channel.js';
import { type Decoded, decoded, decoder, encodeWithin, type Method } from '../method.js';
import { fromStatus } from '../status.js';
import { cancelOn, throwIfAborted } from './cancel.js';

/**
 * Sends one request and waits for its response. It drives the call itself: grpc-js's client would add its interceptors and
 * a stack trace to every call, a good part of what a small message takes.
 *
 * @throws TierbedError what the peer's handler threw; `unavailable`, `timeout`, `cancelled`; `exhausted` over the limit
 */
export async function callUnary<Request, Response>(
  channel: RpcChannel,
  method: Method<Request, Response>,
  request: Request,
  options: CallOptions = {},
): Promise<Response> {
  const { signal, deadlineMs } = options;
  throwIfAborted(signal, method.path);
  const encoded = encodeWithin(method.request, request, channel.maxMessageBytes);
  const call = channel.createCall(method.path, deadlineMs);
  const decode = decoder(method.response);
  const answer = new Promise<Decoded<Response>>((resolve, reject) => {
    let response: Decoded<Response> | undefined;
    call.start(new Metadata(), {
      onReceiveMetadata: () => {},
      onReceiveMessage: (message: Buffer) => {
        response ??= decode(message);
      },
      onReceiveStatus: (final) => {
        if (final.code !== status.OK) reject(asError(final));
        else if (response) resolve(response);
        else reject(asError({ ...final, code: status.INTERNAL, details: 'the call ended without a response' }));
      },
    });
  });
  call.sendMessageWithContext({}, encoded as Buffer);
  call.halfClose();
  call.startRead();
  const release = cancelOn(signal, { cancel: () => call.cancelWithStatus(status.CANCELLED, 'cancelled') });
  try {
    return decoded(await answer);
  } catch (error) {
    throwIfAborted(signal, method.path);
    throw fromStatus(error, channel.address);
  } finally {
    release();
  }
}

function asError(final: StatusObject): Error & StatusObject {
  return Object.assign(new Error(final.details), final);
}
