import { TierbedError } from '../../../../base/errors.js';
import type { Progress } from '../../../../base/progress.js';
import { TIER_NAMES, type TierName } from '../../tiers/tiers.js';
import type { Gate, ServiceState } from './gate.js';
import { until } from './waiting.js';

export interface BringBackOptions {
  readonly gate: Gate;
  /** The containers as they were when all was well. */
  readonly known: ReadonlyMap<string, ServiceState>;
  /** Tiers that are down on purpose. */
  readonly except: ReadonlySet<TierName>;
  readonly withinMs: number;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

export interface BroughtBack {
  readonly services: ReadonlyMap<string, ServiceState>;
  readonly restartedTiers: readonly TierName[];
  readonly restartedAgents: readonly TierName[];
}

/** What is to be done next to a tier or its agent. */
export type Step =
  | { readonly do: 'start' | 'restart'; readonly service: string }
  | { readonly do: 'wait'; readonly service: string };

const LOOK_EVERY_MS = 500;
/** Docker is given this long to act by itself, and after each thing that it was asked for. */
const PATIENCE_MS = 2_000;

/**
 * Waits until every tier and its link agent run again, helping where Docker's restart policy does not: it leaves alone
 * what somebody killed, and a tier whose agent died stays in the dead one's network namespace.
 *
 * @throws TierbedError `unavailable` naming what did not come back, `cancelled`
 */
export async function bringBack(options: BringBackOptions): Promise<BroughtBack> {
  const { gate, known, except, withinMs, signal, progress } = options;
  const askedAt = new Map<string, number>();
  let waitingFor = 'the gate';
  const services = await until(
    async () => {
      const now = await gate.services();
      const steps = TIER_NAMES.flatMap((tier) => nextStep(tier, now, except.has(tier)) ?? []);
      if (steps.length === 0) return now;
      waitingFor = steps.map(({ service }) => service).join(', ');
      progress.update(0, waitingFor);
      for (const step of steps) {
        const since = performance.now() - (askedAt.get(step.service) ?? -PATIENCE_MS);
        if (step.do === 'wait' || since < PATIENCE_MS) continue;
        askedAt.set(step.service, performance.now());
        await gate[step.do](step.service);
      }
      return undefined;
    },
    {
      withinMs,
      everyMs: LOOK_EVERY_MS,
      signal,
      failure: (why) =>
        new TierbedError(
          'unavailable',
          `${waitingFor} did not come back within ${withinMs / 1000} s${why && `: ${why}`}`,
          {
            fix: 'Look at `docker compose ps` and `docker compose logs`; bring the testbed up again: docker compose up --wait.',
          },
        ),
    },
  );
  const isNew = (service: string): boolean => {
    const [before, now] = [known.get(service), services.get(service)];
    return before?.id !== now?.id || before?.startedAt !== now?.startedAt;
  };
  return {
    services,
    restartedTiers: TIER_NAMES.filter((tier) => !except.has(tier) && isNew(tier)),
    restartedAgents: TIER_NAMES.filter((tier) => isNew(`${tier}-link`)),
  };
}

/**
 * What a tier needs before it is as it should be: first its agent, which owns the network, then its node.
 *
 * @param agentOnly the node is down on purpose
 */
export function nextStep(
  tier: TierName,
  services: ReadonlyMap<string, ServiceState>,
  agentOnly = false,
): Step | undefined {
  const agentName = `${tier}-link`;
  const agent = services.get(agentName);
  const node = services.get(tier);
  if (!agent) return { do: 'wait', service: agentName };
  if (!node) return { do: 'wait', service: tier };
  if (agent.status === 'restarting') return { do: 'wait', service: agentName };
  if (agent.status !== 'running') return { do: 'start', service: agentName };
  if (agent.health === 'starting' || agent.health === 'unhealthy') return { do: 'wait', service: agentName };
  if (agentOnly) return undefined;
  if (node.status === 'restarting') return { do: 'wait', service: tier };
  if (node.status === 'paused') return undefined;
  if (node.status !== 'running') return { do: 'start', service: tier };
  if (Date.parse(node.startedAt) < Date.parse(agent.startedAt)) return { do: 'restart', service: tier };
  return undefined;
}
