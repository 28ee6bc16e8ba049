import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkPatchOf } from '../../../cli/link-options.js';
import { BOUNDS } from '../../../services/link/bounds.js';
import { resolveLinks } from '../../../services/orchestrator/study/links.js';
import { parseStudy } from '../../../services/orchestrator/study/study.js';
import { resolveTimeline } from '../../../services/orchestrator/study/timeline-entry.js';
import { Harness } from './server/harness.js';

type Key = keyof typeof BOUNDS;

/** A study with this setting, in its links or in its timeline. */
function check(place: 'links' | 'timeline', key: Key, value: number): void {
  const setting = `{ ${key}: ${value} }`;
  const [edgeCloud, set] = place === 'links' ? [setting, 'wifi'] : ['wifi', setting];
  const file = parseStudy(
    `workloads: { pictures: { use: pictures } }
recipes: { whole: [] }
placements: [edge]
links: { mobile-edge: wifi, edge-cloud: ${edgeCloud} }
timeline: [{ atS: 1, link: edge-cloud, set: ${set} }]
`,
    'x.yaml',
  );
  resolveTimeline(file, resolveLinks(file));
}

const FLAGS = {
  ...{ rateMbps: 'rateMbps', delayMs: 'delayMs', jitterMs: 'jitterMs' },
  ...{ lossPct: 'lossPct', lossBurstPackets: 'lossBurst', queueBytes: 'queueBytes' },
} as const satisfies Record<Key, string>;

test('studies, timelines, the API and the command line take the same values of a link, and name the key', async (t) => {
  const harness = await Harness.start(t);
  for (const key of Object.keys(BOUNDS) as Key[]) {
    const { high } = BOUNDS[key];
    const patch = (value: number) => harness.call('PATCH', '/v1/links/edge-cloud', { [key]: value });

    check('links', key, high);
    check('timeline', key, high);
    assert.equal((await patch(high)).status, 409, `${key}: only a testbed is missing`);
    linkPatchOf({ [FLAGS[key]]: String(high) });

    const tooLarge = high + 1;
    const said = `${key}: must be <= ${high}, got ${tooLarge}`;
    const refused = (where: string) => ({
      kind: 'invalid',
      message: new RegExp(`${where.replaceAll(/[.[\]]/g, '\\$&')}${said}`),
    });
    assert.throws(() => check('links', key, tooLarge), refused('links.edge-cloud.'));
    assert.throws(() => check('timeline', key, tooLarge), refused('timeline[0].set: '));
    const answer = await patch(tooLarge);
    assert.deepEqual([answer.status, answer.body.error.message], [400, `body: ${said}`]);
    assert.throws(() => linkPatchOf({ [FLAGS[key]]: String(tooLarge) }), {
      kind: 'usage',
      message: new RegExp(`${tooLarge}`),
    });
  }
});
