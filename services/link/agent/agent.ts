import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { messageOf } from '../../../base/errors.js';
import { version } from '../../../base/paths.js';
import { type HttpServer, startHttp } from '../../health-server.js';
import { linkAgentService } from '../../rpc/link-agent.js';
import { type RpcServer, startRpcServer } from '../../rpc/server/server.js';
import type { InterfaceDriver } from '../interface-driver.js';
import type { LinkName } from '../types.js';
import { type AgentDriver, chooseDriver } from './choose-driver.js';
import { Firewall } from './firewall.js';
import { agentHandlers } from './handlers.js';
import {
  addSecondAddresses,
  assertForwarding,
  findInterfaces,
  removeSecondAddresses,
  setSegmentsAtOnce,
} from './interfaces.js';
import { agentMetrics } from './metrics.js';
import { type AgentPlan, type AgentTier, agentPlan } from './plan.js';
import { Probes } from './probes.js';
import { Relaying } from './relaying.js';
import type { InterfaceNames } from './rules.js';
import { PacketShaping, type Shaping } from './shaping.js';

/** Of a link agent and of the node that it shields. */
export const AGENT_PORTS = { data: 8001, control: 8004, metrics: 8005 } as const;

export interface AgentOptions {
  readonly tier: AgentTier;
  /** What the testbed's networks begin with, e.g. `10.203`. */
  readonly prefix: string;
  /** Drivers of interfaces, the best first. */
  readonly drivers: readonly InterfaceDriver[];
  /** A driver's name, `proxy`, or `auto`. */
  readonly driver: string;
  /** Where control and metrics listen; the plan's control address when absent. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly controlPort?: number;
  /** 0 takes a free one. */
  readonly metricsPort?: number;
  /** Of the node: nobody reaches it over the control network. */
  readonly dataPort?: number;
  /** Who may talk to this tier over the control network; the orchestrator and Prometheus when absent. */
  readonly controllers?: readonly string[];
  /** How long to wait for interfaces that are not there yet. */
  readonly interfacesWithinMs?: number;
  readonly log?: Pick<Logger, 'info' | 'warn'>;
}

/** Shaping packets without a firewall would leave them unshaped between two settings. */
const NO_FIREWALL: AgentDriver = {
  name: 'proxy',
  driver: undefined,
  why: 'proxy, the last resort: the other drivers need iptables, which does not work here',
};

/** An agent that answers. Addresses are host:port. */
export interface RunningAgent {
  readonly tier: AgentTier;
  readonly controlAddress: string;
  readonly metricsAddress: string;
  readonly choice: AgentDriver;
  /**
   * Takes away what it put into the namespace, except one thing: its links stay shut, so that a node which is still there
   * is never unshaped.
   */
  close(): Promise<void>;
}

/**
 * Starts the agent of a tier in the network namespace of this process: names, addresses and translation, the control
 * network closed to other tiers, and every link shut until its settings are in force.
 *
 * @throws TierbedError `missing` for an address that is not there, `refused` when the kernel or its privileges are not
 *   enough, `unavailable` for a port that is taken; links stay shut then
 */
export async function startLinkAgent(options: AgentOptions): Promise<RunningAgent> {
  const { tier, log } = options;
  const plan: AgentPlan = {
    ...agentPlan(tier, options.prefix),
    ...(options.controllers && { controllers: options.controllers }),
  };
  const names = await findInterfaces(plan, options.interfacesWithinMs ?? 10_000);
  const notes: string[] = [];
  const firewall = await openFirewall(plan, names, options, notes);
  const host = options.host ?? plan.controlAddress;
  const probes = new Probes(plan);
  let shaping: Shaping | undefined;
  let http: HttpServer | undefined;
  let control: RpcServer | undefined;
  let ready = false;
  const stop = async (): Promise<void> => {
    ready = false;
    const steps: readonly (() => Promise<unknown> | undefined)[] = [
      () => control?.close(0),
      () => probes.closeAll(),
      () => http?.close(),
      // Before the shaping goes.
      () => firewall?.shut(new Set(names.data.keys())),
      () => shaping?.close(),
      () => removeSecondAddresses(plan, names),
      () => firewall?.close(),
    ];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        log?.warn({ err: error }, 'something could not be taken away');
      }
    }
  };
  try {
    await addSecondAddresses(plan, names);
    if (plan.translations.length > 0) await assertForwarding();
    const choice = firewall ? await chooseDriver(options.drivers, options.driver) : NO_FIREWALL;
    const shut = async (links: ReadonlySet<LinkName>): Promise<void> => firewall?.shut(links);
    const relaying = choice.driver ? undefined : new Relaying(plan, shut);
    shaping =
      relaying ??
      new PacketShaping(plan, choice.driver as InterfaceDriver, {
        interfaceName: (link) => names.data.get(link) as string,
        shut,
        async segmentsAtOnce(link, segments) {
          await setSegmentsAtOnce(names.data.get(link) as string, segments).catch((error: unknown) => {
            const note = `packets may leave in trains, which get lost whole: ${messageOf(error)}`;
            if (!notes.includes(note)) notes.push(note);
          });
        },
      });
    const inUse = shaping;
    const registry = agentMetrics({
      tier,
      version,
      driver: choice.name,
      ready: () => ready,
      inForce: () => inUse.inForce(),
      stats: () => inUse.stats(),
    });
    http = await startHttp(host, options.metricsPort ?? AGENT_PORTS.metrics, registry, () => ready);
    const metricsAddress = http.address;
    control = await startRpcServer({
      host,
      port: options.controlPort ?? AGENT_PORTS.control,
      services: [
        linkAgentService(
          agentHandlers({
            plan,
            names,
            choice,
            notes,
            shaping,
            relaying,
            probes,
            metricsAddress,
            bootId: randomUUID(),
            log,
          }),
        ),
      ],
    });
    ready = true;
    log?.info(
      { control: control.address, metrics: http.address, driver: choice.name, why: choice.why },
      'link agent is ready',
    );
    let closing: Promise<void> | undefined;
    return {
      tier,
      controlAddress: control.address,
      metricsAddress,
      choice,
      close: () => {
        closing ??= stop();
        return closing;
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Without a firewall nothing can be kept shut, and all that is left is the proxy; only `auto` or asking for it may lead there. */
async function openFirewall(
  plan: AgentPlan,
  names: InterfaceNames,
  { dataPort, driver }: AgentOptions,
  notes: string[],
): Promise<Firewall | undefined> {
  try {
    return await Firewall.open(plan, names, dataPort ?? AGENT_PORTS.data);
  } catch (error) {
    if (driver !== 'auto' && driver !== 'proxy') throw error;
    notes.push(`nothing keeps tiers from reaching each other past their links: ${messageOf(error)}`);
    return undefined;
  }
}
