import { serveUnary } from './calls/serve-unary.js';
import type { Empty } from './inference.js';
import type { HandlersOf, Method } from './method.js';
import { codecsOf, loadProto } from './protos.js';
import type { RpcService } from './server/service.js';

// The messages of tierbed.v1.LinkAgent in proto/testbed.proto, which says what each field means. What a sender leaves out
// arrives as '', 0, false, [] or null.

export interface AgentInterface {
  readonly link: string;
  readonly name: string;
  readonly address: string;
  readonly second: string;
}

export interface DirectionInForceMessage {
  readonly link: string;
  readonly direction: string;
  readonly settingsJson: string;
}

export interface DescribeAgentResponse {
  readonly tier: string;
  readonly version: string;
  readonly bootId: string;
  readonly driver: string;
  readonly why: string;
  readonly interfaces: readonly AgentInterface[];
  readonly inForce: readonly DirectionInForceMessage[];
  readonly pid: number;
  readonly metricsAddress: string;
  readonly notes: readonly string[];
  readonly kernel: string;
  readonly congestionControl: string;
}

export interface ConfigureRequest {
  readonly settingsJson: readonly string[];
}

export interface ConfigureResponse {
  readonly inForce: readonly DirectionInForceMessage[];
}

export interface LinkAgentLinkStats {
  readonly link: string;
  readonly direction: string;
  readonly packets: number;
  readonly bytes: number;
  readonly lostPackets: number;
  readonly droppedPackets: number;
  readonly queuedBytes: number;
}

export interface OpenProbeResponse {
  readonly id: string;
  readonly tcpPort: number;
  readonly udpPort: number;
}

export interface ProbeExchange {
  readonly upBytes: number;
  readonly downBytes: number;
  readonly count: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

export interface ProbeDatagrams {
  readonly run: number;
  readonly wireBytes: number;
  readonly count: number;
  readonly intervalMs: number;
  readonly settleMs: number;
  readonly maxBurst: number;
}

export interface RunProbeRequest {
  readonly id: string;
  readonly tier: string;
  readonly port: number;
  readonly exchange: ProbeExchange | null;
  readonly send: ProbeDatagrams | null;
  readonly echo: ProbeDatagrams | null;
  readonly collect: { readonly run: number } | null;
}

export interface ProbedExchange {
  readonly upMs: number;
  readonly downMs: number;
  readonly roundTripMs: number;
  readonly upTailMs: number;
  readonly upTailBytes: number;
  readonly downTailMs: number;
  readonly downTailBytes: number;
}

export interface ProbedArrival {
  readonly sequence: number;
  readonly sentMs: number;
  readonly arrivedMs: number;
}

export interface RunProbeResponse {
  readonly exchanges: readonly ProbedExchange[];
  readonly arrivals: readonly ProbedArrival[];
}

export interface AddRouteRequest {
  readonly name: string;
  readonly via: readonly string[];
  readonly targetTier: string;
  readonly target: string;
  readonly forTiers: boolean;
}

const SERVICE = 'tierbed.v1.LinkAgent';
const PROTO = 'testbed.proto';
const definition = loadProto(PROTO);

function plain<Request, Response>(name: string): Method<Request, Response> {
  return codecsOf(definition, SERVICE, name);
}

/** The calls of `tierbed.v1.LinkAgent`. */
export const linkAgentMethods = {
  describe: plain<Empty, DescribeAgentResponse>('Describe'),
  configure: plain<ConfigureRequest, ConfigureResponse>('Configure'),
  stats: plain<Empty, { readonly links: readonly LinkAgentLinkStats[] }>('Stats'),
  openProbe: plain<{ readonly link: string }, OpenProbeResponse>('OpenProbe'),
  runProbe: plain<RunProbeRequest, RunProbeResponse>('RunProbe'),
  closeProbe: plain<{ readonly id: string }, Empty>('CloseProbe'),
  addRoute: plain<AddRouteRequest, { readonly address: string }>('AddRoute'),
  removeRoute: plain<{ readonly name: string }, Empty>('RemoveRoute'),
};

export type LinkAgentHandlers = HandlersOf<typeof linkAgentMethods>;

/** The agent's service, for `startRpcServer`. */
export function linkAgentService(handlers: LinkAgentHandlers): RpcService {
  return {
    name: SERVICE,
    proto: PROTO,
    calls: [
      serveUnary(linkAgentMethods.describe, handlers.describe),
      serveUnary(linkAgentMethods.configure, handlers.configure),
      serveUnary(linkAgentMethods.stats, handlers.stats),
      serveUnary(linkAgentMethods.openProbe, handlers.openProbe),
      serveUnary(linkAgentMethods.runProbe, handlers.runProbe),
      serveUnary(linkAgentMethods.closeProbe, handlers.closeProbe),
      serveUnary(linkAgentMethods.addRoute, handlers.addRoute),
      serveUnary(linkAgentMethods.removeRoute, handlers.removeRoute),
    ],
  };
}
