import type { FastifyInstance } from 'fastify';
import { TierbedError } from '../../../../base/errors.js';
import type { Testbed, TierLimits } from '../../runtimes/runtime.js';
import { TIER_NAMES } from '../../tiers/tiers.js';
import type { TierName, TierPatch, TierView } from '../api.js';
import type { ServerContext } from '../context.js';
import { routeSchema } from '../route-schema.js';
import { tierParams, tierPatch, tierView, whole } from '../schemas.js';

const MIB = 2 ** 20;

/** Shows and changes the tiers of the testbed. */
export function tierRoutes(app: FastifyInstance, { access, studies, metrics, closing }: ServerContext): void {
  const tag = 'tiers';
  const view = async (testbed: Testbed, name: TierName): Promise<TierView> => {
    const { tiers, nodes } = testbed;
    const [limits, state] = await Promise.all([
      tiers.limits(name).catch((error: unknown) => {
        if (error instanceof TierbedError && error.kind === 'refused') return null;
        throw error;
      }),
      tiers.state(name),
    ]);
    metrics.watchTiers(tiers);
    const figures = (await metrics.tiers.known()).get(name);
    return {
      name,
      state: testbed.lost()?.tier === name ? 'stopped' : state,
      limits,
      usage: figures?.usage ? { cpus: figures.cpus ?? null, memoryMiB: figures.usage.memoryBytes / MIB } : null,
      control: nodes[name].client.channel.address,
    };
  };

  app.get(
    '/v1/tiers',
    {
      schema: routeSchema({
        tag,
        summary: 'Show the tiers',
        answers: { 200: whole({ tiers: { type: 'array', items: tierView } }) },
      }),
    },
    async () => {
      const testbed = await access.testbed(closing);
      return { tiers: await Promise.all(TIER_NAMES.map((name) => view(testbed, name))) };
    },
  );
  app.patch<{ Params: { name: TierName }; Body: TierPatch }>(
    '/v1/tiers/:name',
    {
      schema: routeSchema({
        tag,
        summary: 'Change a tier from now on',
        params: tierParams,
        body: tierPatch,
        answers: { 200: tierView },
      }),
    },
    ({ params: { name }, body }) =>
      access.inTurn(async () => {
        const testbed = await access.testbed(closing);
        const { tiers } = testbed;
        const limits: Partial<TierLimits> = {
          ...(body.cpus !== undefined && { cpus: body.cpus }),
          ...(body.memoryMiB !== undefined && { memoryMiB: body.memoryMiB }),
        };
        if (body.running === true) await tiers.start(name);
        if (Object.keys(limits).length > 0) await tiers.setLimits(name, limits);
        if (body.paused !== undefined) await (body.paused ? tiers.pause(name) : tiers.resume(name));
        if (body.running === false) await tiers.kill(name);
        studies.tellChange({ tier: name, change: body });
        return view(testbed, name);
      }),
  );
}
