import { Client, credentials } from '@grpc/grpc-js';
import { DEFAULT_MAX_MESSAGE_BYTES, WINDOW_BYTES } from './limits.js';
import { keepalive } from './options.js';
import { unreachable } from './status.js';
import './quiet.js';

export interface ConnectOptions {
  /** Bound on messages both ways; `DEFAULT_MAX_MESSAGE_BYTES` (1 GiB) when absent. */
  readonly maxMessageBytes?: number;
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

  constructor(address: string, options: ConnectOptions = {}) {
    this.address = address;
    this.maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.client = new Client(address, credentials.createInsecure(), {
      'grpc-node.flow_control_window': WINDOW_BYTES,
      'grpc.max_receive_message_length': this.maxMessageBytes,
      'grpc.max_send_message_length': -1,
      // A connection of its own, that no environment variable sends through a proxy, never dropped for being idle.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.client_idle_timeout_ms': 0x7fffffff,
      // A measured request is sent once; a node that comes back is found soon.
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.min_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
      'grpc.enable_channelz': 0,
      ...keepalive,
    });
  }

  /**
   * Opens the connection if it is not open, trying again until it is.
   *
   * @throws TierbedError `unavailable` when that takes longer than `withinMs`
   */
  waitForReady(withinMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.client.waitForReady(Date.now() + withinMs, (error) => {
        if (error) reject(unreachable(this.address, `no connection within ${withinMs} ms`, error));
        else resolve();
      });
    });
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
