import type { FastifyInstance, FastifyRequest } from 'fastify';
import { TierbedError } from '../../../../base/errors.js';
import { verifyLinks } from '../../../link/verify/verify.js';
import type { LinkName, LinkPatch, LinksView, VerifyRequest } from '../api.js';
import type { ServerContext } from '../context.js';
import { patchLink } from '../link-patch.js';
import { routeSchema } from '../route-schema.js';
import { linkParams, linkPatch, linksView, linkView, verifyReport, verifyRequest } from '../schemas.js';

/** Shows, changes and proves the links of the testbed. */
export function linkRoutes(app: FastifyInstance, { access, studies, closing }: ServerContext): void {
  const tag = 'links';
  app.get(
    '/v1/links',
    { schema: routeSchema({ tag, summary: 'Show what the links are set to', answers: { 200: linksView } }) },
    async (): Promise<LinksView> => {
      const testbed = await access.testbed(closing);
      return { driver: testbed.links.driver, links: await access.linksInForce(testbed) };
    },
  );
  app.patch<{ Params: { name: LinkName }; Body: LinkPatch }>(
    '/v1/links/:name',
    {
      schema: routeSchema({
        tag,
        summary: 'Change a link from now on',
        params: linkParams,
        body: linkPatch,
        answers: { 200: linkView },
      }),
    },
    ({ params, body }) =>
      access.inTurn(async () => {
        const testbed = await access.testbed(closing);
        const before = (await access.linksInForce(testbed)).find(({ name }) => name === params.name);
        if (!before) throw new TierbedError('missing', `the testbed has no link '${params.name}'`);
        const link = patchLink(before, body);
        await access.setLink(testbed, link);
        studies.tellChange({ link: params.name, before, after: link });
        return link;
      }),
  );
  app.post<{ Body: VerifyRequest }>(
    '/v1/links/verify',
    {
      schema: routeSchema({
        tag,
        summary: 'Measure the links against what they are set to',
        body: verifyRequest,
        answers: { 200: verifyReport },
      }),
    },
    async ({ body }: FastifyRequest<{ Body: VerifyRequest }>) => {
      const { running } = studies;
      if (running && access.kind === 'study' && !body.disturb) {
        throw new TierbedError(
          'refused',
          `the study ${running.id} is measuring: bulk transfers would change its samples`,
          {
            fix: 'Wait until it is over, or disturb it all the same: tierbed link verify --disturb',
          },
        );
      }
      return access.inTurn(async () => {
        const testbed = await access.testbed(closing);
        const all = await access.linksInForce(testbed);
        const chosen = all.filter(({ name }) => body.links?.includes(name) ?? true);
        const blocked = chosen.find((link) => link.blocked);
        if (blocked) {
          throw new TierbedError('refused', `the link ${blocked.name} is down: there is nothing to measure`, {
            fix: `Bring it up: tierbed link up ${blocked.name}`,
          });
        }
        if (running) studies.tellChange({ verify: chosen.map(({ name }) => name) });
        const { ms, percent } = access.runtime.linkTolerance;
        const report = await verifyLinks(testbed.links, chosen, { toleranceMs: ms, tolerancePct: percent });
        access.linksProved(report);
        return report;
      });
    },
  );
}
