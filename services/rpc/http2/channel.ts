import type { Socket } from 'node:net';
import { type ChannelInterface, connectivityState } from '@grpc/grpc-js';
import { Http2Call } from './call.js';
import { Http2Connection } from './connection.js';

/**
 * A channel for grpc-js's client that writes a message's parts to the HTTP/2 stream as they lie in memory, where grpc-js's
 * own channel would copy them into a frame first, and that reads a message straight into its buffer. One peer, one
 * connection, no retries, no proxies, no name resolution beyond the system's.
 */
export class Http2Channel implements ChannelInterface {
  readonly connection: Http2Connection;
  readonly #maxMessageBytes: number;

  constructor(address: string, maxMessageBytes: number, onSocket?: (socket: Socket) => void) {
    this.connection = new Http2Connection(address, onSocket);
    this.#maxMessageBytes = maxMessageBytes;
  }

  createCall(method: string, deadline: Date | number): Http2Call {
    return new Http2Call(this.connection, method, Number(deadline), this.#maxMessageBytes);
  }

  close(): void {
    this.connection.close();
  }

  getTarget(): string {
    return this.connection.address;
  }

  /** Connections are waited for with `Http2Connection.waitForReady`; grpc-js's client asks for no state of its own accord. */
  getConnectivityState(): connectivityState {
    return connectivityState.IDLE;
  }

  watchConnectivityState(): never {
    throw new Error('not watched: use RpcChannel.waitForReady');
  }

  getChannelzRef(): never {
    throw new Error('not registered with channelz');
  }
}
