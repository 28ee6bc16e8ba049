import { openEngine } from './engine.js';
import { type GateServer, type GateServerOptions, startGateServer } from './server.js';

export interface GateOptions extends Omit<GateServerOptions, 'engine'> {
  readonly socketPath: string;
  /** The gate's own container, when it is not the one that it runs in (tests). */
  readonly self?: string;
}

/**
 * Starts the gate: the one way to the Docker engine that the testbed's containers have.
 *
 * @throws TierbedError `unavailable` when the engine does not answer or the address is taken, `refused` outside Compose
 */
export async function startGate({ socketPath, self, ...options }: GateOptions): Promise<GateServer> {
  const engine = await openEngine({ socketPath, ...(self !== undefined && { self }) });
  return startGateServer({ ...options, engine });
}
