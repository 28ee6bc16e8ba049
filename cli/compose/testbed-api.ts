import { type ApiClient, connectApi } from '../../services/api-client/index.js';
import type { ComposeConfig } from './config.js';

/** Where the testbed's orchestrator is published. */
export function orchestratorUrl({ ports }: ComposeConfig): string | undefined {
  const found = ports.find(({ service }) => service === 'orchestrator');
  return found && `http://${found.address}:${found.port}`;
}

/** The testbed's own orchestrator, whatever TIERBED_API says. @throws TierbedError when it does not answer */
export async function testbedApi(config: ComposeConfig, signal: AbortSignal): Promise<ApiClient> {
  return connectApi({ api: orchestratorUrl(config) }, signal);
}
