import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deployRequests } from '../../../../services/orchestrator/run/deploy.js';
import type { Strategy } from '../../../../services/orchestrator/study/resolve.js';
import { parseStudy, type Study } from '../../../../services/orchestrator/study/study.js';
import type { Workload } from '../../../../workloads/types.js';

const STUDY = `workloads: { pictures: { use: pictures } }
recipes: { whole: [] }
placements: [mobile]
links: { mobile-edge: wifi, edge-cloud: lte }
tiers: { edge: { engine: wasm, threads: 3 } }
`;
const { study } = parseStudy(STUDY, 'x.yaml');

const workload: Workload = {
  ...{ name: 'w', modelPath: 'm.onnx', items: [], calibration: [], tuning: [], metric: 'none' },
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

test('what to do about a hop that fails is told to every node that has one, the more patient the more lie ahead', () => {
  const { onHopFailure } = parsePolicy({ policy: 'retry', hopDeadlineMs: 100, retries: 2, backoffMs: 10 });
  const [cloud, edge, mobile] = requests('mobile-edge-cloud', 3, { onHopFailure }).map((r) => r.request.onHopFailure);
  assert.equal(cloud, null);
  assert.deepEqual([edge?.action, edge?.hopDeadlineMs, edge?.retries], ['RETRY', 100, 2]);
  assert.equal(mobile?.hopDeadlineMs, 100 + 3 * 100 + 10 + 20, 'all that edge may do, and its own');
  assert.deepEqual(
    requests('edge', 1)[1]?.request.onHopFailure?.hopDeadlineMs,
    0,
    'the deadline of the sample is enough',
  );
});

test('a node that may have to falls back to every stage behind it', () => {
  const { onHopFailure } = parsePolicy({ policy: 'fallback' });
  const held = (placement: string, stages: number) =>
    requests(placement, stages, { onHopFailure }).map(({ tier, request }) => {
      const files = request.fallback.map((s) => s.files.map((f) => f.sha256).join() + (s.preprocessJson ? ' pre' : ''));
      return `${tier}: ${files.join(', ')}`;
    });
  assert.deepEqual(held('mobile-edge-cloud', 3), ['cloud: ', 'edge: hash 2', 'mobile: hash 1, hash 2']);
  assert.deepEqual(held('edge-cloud', 2), ['cloud: ', 'edge: hash 1', 'mobile: hash 0 pre, hash 1']);
  assert.deepEqual(requests('edge', 1)[1]?.request.fallback, []);
});

function parsePolicy(choice: Record<string, unknown>): Study {
  const text = `${STUDY}onHopFailure: ${JSON.stringify(choice)}\n`;
  return parseStudy(text, 'x.yaml').study;
}

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
