import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LinkShaper, OpenLinks } from '../../../../services/link/types.js';
import { describeRun, type RunEnvironment } from '../../../../services/orchestrator/results/environment.js';
import type { Testbed } from '../../../../services/orchestrator/runtimes/runtime.js';
import type { ResolvedStudy } from '../../../../services/orchestrator/study/resolve.js';
import { loadTiers } from '../../../../services/orchestrator/tiers/tiers.js';

/** What is recorded of a run whose links are these. */
async function described(links: Partial<OpenLinks>): Promise<RunEnvironment> {
  const file = { study: { scale: 1, tiers: loadTiers() } };
  const study = { file, workloads: [], strategies: [] } as unknown as ResolvedStudy;
  const node = { description: { pid: 1, environmentJson: '' } };
  const testbed = { notes: [], links, nodes: { mobile: node, edge: node, cloud: node } } as unknown as Testbed;
  return describeRun(study, testbed, [], 'test', []);
}

const relayed = (note: string): boolean => /relays of TCP streams/.test(note);

test('links that are relayed are recorded with what a relay cannot show', async () => {
  const driver = { name: 'proxy', why: 'these links join processes of one machine' };
  const { links, notes } = await described({ driver });
  assert.deepEqual(links, driver);
  assert.equal(notes.filter(relayed).length, 1);
  for (const what of [/lost packets/, /sends again/, /congestion control/, /docker runtime/]) {
    assert.match(notes.find(relayed) ?? '', what);
  }
});

test('links that agents shape are recorded with each agent, its kernel and what it could not do', async () => {
  const driver = { name: 'netem', why: 'the kernel can do it' };
  const agents: LinkShaper[] = ['mobile', 'edge', 'cloud'].map((tier) => ({
    ...{ tier, driver: 'netem', why: 'the kernel can do it', kernel: '6.1.0', congestionControl: 'cubic' },
    notes: tier === 'edge' ? ['nothing keeps tiers from reaching each other past their links'] : [],
  }));
  const { links, notes } = await described({ driver, shapers: async () => agents });
  assert.deepEqual(links, { ...driver, agents });
  assert.deepEqual(
    notes.filter((note) => /link/.test(note)),
    ['the link agent of edge: nothing keeps tiers from reaching each other past their links'],
  );
});
