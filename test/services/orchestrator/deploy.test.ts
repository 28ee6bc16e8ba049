import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deployRequests } from '../../../services/orchestrator/deploy.js';
import type { Strategy } from '../../../services/orchestrator/resolve.js';
import { parseStudy, type Study } from '../../../services/orchestrator/study.js';
import type { Workload } from '../../../workloads/types.js';

const { study } = parseStudy(
  `workloads: { pictures: { use: pictures } }
recipes: { whole: [] }
placements: [mobile]
links: { mobile-edge: wifi, edge-cloud: lte }
tiers: { edge: { engine: wasm, threads: 3 } }
`,
  'x.yaml',
);

const workload: Workload = {
  ...{ name: 'w', modelPath: 'm.onnx', items: [], metric: 'none' },
  ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'digest' } },
};

function requests(placement: string, stages: number, changes: Partial<Study> = {}, session: 'cold' | 'warm' = 'warm') {
  const file = (i: number) => ({ path: `/tmp/${i}.onnx`, name: 'model.onnx', sha256: `hash ${i}`, bytes: 1 });
  const variant = {
    ...{ name: 'r', steps: [] },
    stages: Array.from({ length: stages }, (_, i) => ({ files: [file(i)] })),
  };
  const strategy: Strategy = { id: 's', workload: 'w', recipe: 'r', placement, session, variant };
  return deployRequests({ ...study, ...changes }, strategy, workload, (from, to) => `${from}>${to}`);
}

/** `TIER: FILES [pre] [post] -> NEXT`, in the order in which they are deployed. */
const brief = (made: ReturnType<typeof requests>): string[] =>
  made.map(({ tier, request: r }) =>
    [
      `${tier}:`,
      r.files.map(({ sha256 }) => sha256).join() || 'forwards',
      ...(r.preprocessJson ? ['pre'] : []),
      ...(r.postprocessJson ? ['post'] : []),
      ...(r.next ? [`-> ${r.next.address}`] : []),
    ].join(' '),
  );

test('every chain starts on mobile, is deployed from its end, and crosses the links that it must', () => {
  assert.deepEqual(brief(requests('mobile', 1)), ['mobile: hash 0 pre post']);
  assert.deepEqual(brief(requests('edge', 1)), ['edge: hash 0 pre', 'mobile: forwards post -> mobile>edge']);
  assert.deepEqual(brief(requests('cloud', 1)), ['cloud: hash 0 pre', 'mobile: forwards post -> mobile>cloud']);
  assert.deepEqual(brief(requests('mobile-cloud', 2)), ['cloud: hash 1', 'mobile: hash 0 pre post -> mobile>cloud']);
  assert.deepEqual(brief(requests('edge-cloud', 2)), [
    'cloud: hash 1',
    'edge: hash 0 pre -> edge>cloud',
    'mobile: forwards post -> mobile>edge',
  ]);
  assert.deepEqual(brief(requests('mobile-edge-cloud', 3)), [
    'cloud: hash 2',
    'edge: hash 1 -> edge>cloud',
    'mobile: hash 0 pre post -> mobile>edge',
  ]);
});

test('with the payload `tensor` items are decoded on mobile, wherever the first stage runs', () => {
  assert.deepEqual(brief(requests('edge-cloud', 2, { payload: 'tensor' })), [
    'cloud: hash 1',
    'edge: hash 0 -> edge>cloud',
    'mobile: forwards pre post -> mobile>edge',
  ]);
});

test('what the study and the tier say reaches the node', () => {
  const [edge, mobile] = requests('edge', 1, { graphOptimization: false, warmupRuns: 9 }, 'cold').map((r) => r.request);
  assert.equal(edge?.graphOptimization, false);
  assert.equal(edge?.sessionMode, 'COLD');
  assert.equal(edge?.warmupRuns, 9);
  assert.equal(edge?.engine, 'wasm');
  assert.equal(edge?.threads, 3);
  assert.equal(mobile?.engine, 'native');
  assert.equal(mobile?.next?.deployment, 's');
  assert.deepEqual(edge?.files, [{ path: 'model.onnx', sha256: 'hash 0' }]);
  assert.equal(requests('edge', 1)[0]?.request.sessionMode, 'WARM');
  assert.equal(requests('edge', 1)[0]?.request.graphOptimization, true);
});
