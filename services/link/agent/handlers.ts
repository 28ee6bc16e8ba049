import type { Logger } from 'pino';
import { TierbedError } from '../../../base/errors.js';
import { kernelFacts } from '../../../base/kernel.js';
import { version } from '../../../base/paths.js';
import type { LinkAgentHandlers } from '../../rpc/link-agent.js';
import type { AgentDriver } from './choose-driver.js';
import type { AgentPlan } from './plan.js';
import type { Probes } from './probes.js';
import type { Relaying } from './relaying.js';
import type { InterfaceNames } from './rules.js';
import { parseLinkSettings } from './settings-json.js';
import type { DirectionInForce, Shaping } from './shaping.js';

/** What the agent's calls answer from. */
export interface HandlerContext {
  readonly plan: AgentPlan;
  readonly names: InterfaceNames;
  readonly choice: AgentDriver;
  readonly notes: readonly string[];
  readonly shaping: Shaping;
  readonly relaying: Relaying | undefined;
  readonly probes: Probes;
  readonly metricsAddress: string;
  readonly bootId: string;
  readonly log: Pick<Logger, 'info'> | undefined;
}

/** The calls of tierbed.v1.LinkAgent. */
export function agentHandlers(context: HandlerContext): LinkAgentHandlers {
  const { plan, names, choice, shaping, probes } = context;
  const relaying = (): Relaying => {
    if (context.relaying) return context.relaying;
    throw new TierbedError(
      'refused',
      `the ${choice.name} driver of ${plan.tier} shapes packets on their way: it has no routes`,
    );
  };
  return {
    describe: async () => ({
      tier: plan.tier,
      version,
      bootId: context.bootId,
      driver: choice.name,
      why: choice.why,
      interfaces: [
        { link: '', name: names.control, address: plan.controlAddress, second: '' },
        ...plan.data.map(({ link, address, second = '' }) => ({
          link,
          name: names.data.get(link) as string,
          address,
          second,
        })),
      ],
      inForce: shaping.inForce().map(message),
      pid: process.pid,
      metricsAddress: context.metricsAddress,
      notes: context.notes,
      ...(await kernelFacts()),
    }),
    configure: async ({ settingsJson }) => {
      const links = settingsJson.map(parseLinkSettings);
      await shaping.configure(links);
      context.log?.info({ links }, 'links are set');
      return { inForce: shaping.inForce().map(message) };
    },
    stats: async () => ({ links: await shaping.stats() }),
    openProbe: ({ link }) => probes.open(link),
    runProbe: (request) => probes.run(request),
    closeProbe: async ({ id }) => {
      await probes.close(id);
      return {};
    },
    addRoute: async (request) => ({ address: await relaying().addRoute(request) }),
    removeRoute: async ({ name }) => {
      await relaying().removeRoute(name);
      return {};
    },
  };
}

function message({ link, direction, settings }: DirectionInForce) {
  return { link, direction, settingsJson: JSON.stringify(settings) };
}
