import type { Socket } from 'node:net';
import { Client, credentials } from '@grpc/grpc-js';
import type { Http2Call } from './http2/call.js';
import { Http2Channel } from './http2/channel.js';
import { DEFAULT_MAX_MESSAGE_BYTES } from './limits.js';
import './quiet.js';

export interface ConnectOptions {
  /** Bound on messages both ways; `DEFAULT_MAX_MESSAGE_BYTES` (1 GiB) when absent. */
  readonly maxMessageBytes?: number;
  /** Is given every connection that is made. */
  readonly onSocket?: (socket: Socket) => void;
}

/** How one call is to be made. */
export interface CallOptions {
  /** Aborting it cancels the call, here and on every hop behind. */
  readonly signal?: AbortSignal;
  /** Unix time in ms; undefined: no bound. */
  readonly deadlineMs?: number | undefined;
}

/** One HTTP/2 connection to one peer; it is opened by `waitForReady` or the first call, and kept. */
export class RpcChannel {
  readonly address: string;
  readonly maxMessageBytes: number;
  /** grpc-js's client; for the files of `calls/` only. */
  readonly client: Client;
  readonly #channel: Http2Channel;

  constructor(address: string, options: ConnectOptions = {}) {
    this.address = address;
    this.maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.#channel = new Http2Channel(address, this.maxMessageBytes, options.onSocket);
    this.client = new Client(address, credentials.createInsecure(), { channelOverride: this.#channel });
  }

  /**
   * Opens the connection if it is not open, trying again until it is.
   *
   * @throws TierbedError `unavailable` when that takes longer than `withinMs`
   */
  waitForReady(withinMs: number): Promise<void> {
    return this.#channel.connection.waitForReady(withinMs);
  }

  /**
   * Says that the connection may be dead: an answer did not come in time. If it does not answer a ping before another can
   * be made, that one takes its place.
   */
  suspect(): void {
    this.#channel.connection.suspect();
  }

  /** A call to be driven by a file of `calls/`. */
  createCall(method: string, deadlineMs: number | undefined): Http2Call {
    return this.#channel.createCall(method, deadlineMs ?? Number.POSITIVE_INFINITY);
  }

  /** Ends the connection. Calls under way are cancelled. */
  close(): void {
    this.client.close();
  }
}

/** A channel to `host:port`; it connects when it is first used. */
export function connect(address: string, options: ConnectOptions = {}): RpcChannel {
  return new RpcChannel(address, options);
}
