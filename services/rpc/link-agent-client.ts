import { callUnary } from './calls/call-unary.js';
import type { CallOptions, RpcChannel } from './channel.js';
import {
  type AddRouteRequest,
  type ConfigureResponse,
  type DescribeAgentResponse,
  type LinkAgentLinkStats,
  linkAgentMethods,
  type OpenProbeResponse,
  type RunProbeRequest,
  type RunProbeResponse,
} from './link-agent.js';

/** Calls a link agent. Errors are those of `callUnary`. */
export class LinkAgentClient {
  readonly channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.channel = channel;
  }

  describe(options?: CallOptions): Promise<DescribeAgentResponse> {
    return callUnary(this.channel, linkAgentMethods.describe, {}, options);
  }

  /** @param settingsJson LinkSettings, one a link; the agent takes what falls to it */
  configure(settingsJson: readonly string[], options?: CallOptions): Promise<ConfigureResponse> {
    return callUnary(this.channel, linkAgentMethods.configure, { settingsJson }, options);
  }

  async stats(options?: CallOptions): Promise<readonly LinkAgentLinkStats[]> {
    return (await callUnary(this.channel, linkAgentMethods.stats, {}, options)).links;
  }

  /** Opens one end of a measurement on the agent's address of a link. */
  openProbe(link: string, options?: CallOptions): Promise<OpenProbeResponse> {
    return callUnary(this.channel, linkAgentMethods.openProbe, { link }, options);
  }

  /** What is left out is none. */
  runProbe(
    request: Partial<RunProbeRequest> & Pick<RunProbeRequest, 'id'>,
    options?: CallOptions,
  ): Promise<RunProbeResponse> {
    return callUnary(this.channel, linkAgentMethods.runProbe, { ...EMPTY_RUN, ...request }, options);
  }

  async closeProbe(id: string, options?: CallOptions): Promise<void> {
    await callUnary(this.channel, linkAgentMethods.closeProbe, { id }, options);
  }

  async addRoute(request: AddRouteRequest, options?: CallOptions): Promise<string> {
    return (await callUnary(this.channel, linkAgentMethods.addRoute, request, options)).address;
  }

  async removeRoute(name: string, options?: CallOptions): Promise<void> {
    await callUnary(this.channel, linkAgentMethods.removeRoute, { name }, options);
  }
}

const EMPTY_RUN: Omit<RunProbeRequest, 'id'> = {
  tier: '',
  port: 0,
  exchange: null,
  send: null,
  echo: null,
  collect: null,
};
