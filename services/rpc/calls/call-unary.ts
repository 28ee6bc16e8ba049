import { type ClientUnaryCall, Metadata } from '@grpc/grpc-js';
import type { CallOptions, RpcChannel } from '../channel.js';
import { type Decoded, decoded, decoder, encodeWithin, identity, type Method } from '../method.js';
import { fromStatus } from '../status.js';
import { cancelOn, throwIfAborted } from './cancel.js';

/**
 * Sends one request and waits for its response.
 *
 * @throws TierbedError what the peer's handler threw; `unavailable`, `timeout`, `cancelled`; `exhausted` over the limit
 */
export async function callUnary<Request, Response>(
  channel: RpcChannel,
  method: Method<Request, Response>,
  request: Request,
  options: CallOptions = {},
): Promise<Response> {
  throwIfAborted(options.signal, method.path);
  const encoded = encodeWithin(method.request, request, channel.maxMessageBytes) as Buffer;
  const { signal, deadlineMs } = options;
  let call: ClientUnaryCall | undefined;
  const answer = new Promise<Decoded<Response>>((resolve, reject) => {
    call = channel.client.makeUnaryRequest(
      method.path,
      identity,
      decoder(method.response),
      encoded,
      new Metadata(),
      deadlineMs === undefined ? {} : { deadline: deadlineMs },
      (error, response) => {
        if (error) reject(error);
        else resolve(response as Decoded<Response>);
      },
    );
  });
  const release = cancelOn(signal, call);
  try {
    return decoded(await answer);
  } catch (error) {
    throwIfAborted(signal, method.path);
    throw fromStatus(error, channel.address);
  } finally {
    release();
  }
}
