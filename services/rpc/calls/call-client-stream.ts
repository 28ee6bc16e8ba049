import { type ClientWritableStream, Metadata } from '@grpc/grpc-js';
import type { CallOptions, RpcChannel } from '../channel.js';
import { type Decoded, decoded, decoder, encodeWithin, identity, type Method } from '../method.js';
import { fromStatus } from '../status.js';
import { cancelOn, throwIfAborted } from './cancel.js';

/**
 * Sends requests, no faster than the peer takes them, and waits for the response. A peer may answer before it has them all.
 *
 * @throws TierbedError as `callUnary`, and what `requests` throws
 */
export async function callClientStream<Request, Response>(
  channel: RpcChannel,
  method: Method<Request, Response>,
  requests: AsyncIterable<Request>,
  options: CallOptions = {},
): Promise<Response> {
  const { signal, deadlineMs } = options;
  throwIfAborted(signal, method.path);
  let stream: ClientWritableStream<Buffer> | undefined;
  const answer = new Promise<Decoded<Response>>((resolve, reject) => {
    stream = channel.client.makeClientStreamRequest(
      method.path,
      identity,
      decoder(method.response),
      new Metadata(),
      deadlineMs === undefined ? {} : { deadline: deadlineMs },
      (error, response) => {
        if (error) reject(error);
        else resolve(response as Decoded<Response>);
      },
    );
  });
  const call = stream as unknown as ClientWritableStream<Buffer>;
  const release = cancelOn(signal, call);
  // Whoever ends first ends both: an answer or an error of the peer stops the sending.
  const sending = new AbortController();
  const settled = answer.finally(() => sending.abort());
  settled.catch(() => {});
  try {
    await send(call, method, requests, channel.maxMessageBytes, sending.signal);
    return decoded(await settled);
  } catch (error) {
    call.cancel();
    throwIfAborted(signal, method.path);
    throw fromStatus(error, channel.address);
  } finally {
    release();
  }
}

async function send<Request>(
  call: ClientWritableStream<Buffer>,
  method: Method<Request, unknown>,
  requests: AsyncIterable<Request>,
  maxMessageBytes: number,
  settled: AbortSignal,
): Promise<void> {
  for await (const request of requests) {
    if (settled.aborted) return;
    if (!call.write(encodeWithin(method.request, request, maxMessageBytes) as Buffer)) await drained(call, settled);
  }
  call.end();
}

/** Resolves when the stream takes more, or when there is no more need. */
function drained(call: ClientWritableStream<Buffer>, settled: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      call.off('drain', done);
      settled.removeEventListener('abort', done);
      resolve();
    };
    if (settled.aborted) return done();
    call.on('drain', done);
    settled.addEventListener('abort', done);
  });
}
