import type { ServerInterceptingCall, ServerInterceptor } from '@grpc/grpc-js';
import { FrameDecoder } from '../frame-decoder.js';
import { gathers } from '../gather.js';

/** The part of grpc-js's server call that joins what comes in to messages. */
interface HasDecoder {
  decoder?: { write(data: Buffer): Buffer[] };
}

/**
 * Gives each call of a server a decoder that reads messages straight into their buffers. With a grpc-js whose calls have
 * no such part, or of a version that this was not tested with, calls stay as they are: slower, and twice the memory.
 */
export function readInPlace(maxMessageBytes: number): ServerInterceptor {
  return (_method, call) => {
    const bottom = call as HasDecoder;
    if (gathers && typeof bottom.decoder?.write === 'function') bottom.decoder = new FrameDecoder(maxMessageBytes);
    // The call itself may stand for one with an interceptor around it: only the types tell them apart.
    return call as ServerInterceptingCall;
  };
}
