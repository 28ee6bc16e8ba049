import type { Socket } from 'node:net';
import { connect, type InferenceClient, type RpcChannel } from '../rpc/client.js';
import { type HopObserver, ObservedClient } from './observed-client.js';

/** How long a deployment waits for the connection to its next stage. */
const CONNECT_MS = 1000;

/** The next stage of a deployment, over a connection that deployments to the same node share. */
export interface NextStage {
  /** host:port */
  readonly address: string;
  /** Its model name there. */
  readonly deployment: string;
  readonly client: InferenceClient;
  /** Lets the connection go; the last deployment to do so closes it. */
  release(): void;
}

interface Connection {
  users: number;
  readonly channel: RpcChannel;
  readonly client: InferenceClient;
}

/** Connections to the nodes behind this one: one an address, kept while a deployment needs it. */
export class NextHops {
  readonly #connections = new Map<string, Connection>();
  readonly #observer: HopObserver;
  readonly #onSocket: (socket: Socket) => void;

  /** @param onSocket is given every connection that is made */
  constructor(observer: HopObserver, onSocket: (socket: Socket) => void = () => {}) {
    this.#observer = observer;
    this.#onSocket = onSocket;
  }

  /**
   * Connects at once, so that no measured request pays for it. A node that is not up yet is no error: the requests that
   * need it will say so.
   */
  async acquire({
    address,
    deployment,
  }: {
    readonly address: string;
    readonly deployment: string;
  }): Promise<NextStage> {
    const connection = this.#connections.get(address) ?? this.#open(address);
    connection.users++;
    this.#connections.set(address, connection);
    await connection.channel.waitForReady(CONNECT_MS).catch(() => {});
    let released = false;
    return {
      address,
      deployment,
      client: connection.client,
      release: () => {
        if (released) return;
        released = true;
        if (--connection.users > 0) return;
        this.#connections.delete(address);
        connection.channel.close();
      },
    };
  }

  #open(address: string): Connection {
    const channel = connect(address, { onSocket: this.#onSocket });
    return { users: 0, channel, client: new ObservedClient(channel, this.#observer) };
  }
}
