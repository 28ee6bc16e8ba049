import { connect, type InferenceClient } from '../rpc/index.js';

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

/** Connections to the nodes behind this one: one an address, kept while a deployment needs it. */
export class NextHops {
  readonly #connections = new Map<string, { users: number; readonly client: InferenceClient }>();

  acquire({ address, deployment }: { readonly address: string; readonly deployment: string }): NextStage {
    const connection = this.#connections.get(address) ?? { users: 0, client: connect(address) };
    connection.users++;
    this.#connections.set(address, connection);
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
        connection.client.close();
      },
    };
  }
}
