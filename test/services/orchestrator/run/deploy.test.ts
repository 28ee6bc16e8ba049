import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StageModel } from '../../../../operators/variant.js';
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
  ...{ name: 'w', modelPath: 'm.onnx', items: [], training: [], calibration: [], tuning: [], metric: 'none' },
  ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'digest' } },
};

/** What a recipe says of what each stage passes on. */
type Encodings = readonly (StageModel['encoding'] | undefined)[];

function requests(
  placement: string,
  stages: number,
  changes: Partial<Study> = {},
  session: 'cold' | 'warm' = 'warm',
  encodings: Encodings = [],
) {
  const file = (i: number) => ({ path: `/tmp/${i}.onnx`, name: 'model.onnx', sha256: `hash ${i}`, bytes: 1 });
  const variant = {
    ...{ name: 'r', steps: [] },
    stages: Array.from({ length: stages }, (_, i) => ({
      files: [file(i)],
      ...(encodings[i] && { encoding: encodings[i] }),
    })),
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

test('a placement of one tier runs all stages of a variant with exits there', () => {
  const behind = (made: ReturnType<typeof requests>) =>
    made.map(({ tier, request: r }) => [
      tier,
      ...[...r.files, ...r.behind.flatMap((s) => s.files)].map(({ sha256 }) => sha256),
      r.behind.some((s) => s.decode || s.encodeJson !== '' || s.preprocessJson !== ''),
    ]);
  assert.deepEqual(behind(requests('mobile', 3)), [['mobile', 'hash 0', 'hash 1', 'hash 2', false]]);
  assert.deepEqual(behind(requests('edge', 2)), [
    ['edge', 'hash 0', 'hash 1', false],
    ['mobile', false],
  ]);
  assert.deepEqual(behind(requests('mobile-edge', 2)), [
    ['edge', 'hash 1', false],
    ['mobile', 'hash 0', false],
  ]);
  const { onHopFailure } = parsePolicy({ policy: 'fallback' });
  const [, mobile] = requests('edge', 2, { onHopFailure });
  assert.deepEqual(
    mobile?.request.fallback.map((s) => [s.files[0]?.sha256, s.preprocessJson !== '']),
    [
      ['hash 0', true],
      ['hash 1', false],
    ],
  );
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

/** `TIER: [decodes] [encodes CHAIN]` from the first node of the chain to the last. */
const coded = (made: ReturnType<typeof requests>): string[] =>
  made.toReversed().map(({ tier, request: { decode, encodeJson } }) => {
    const chain = encodeJson ? (JSON.parse(encodeJson) as { chain: { name: string }[] }).chain : [];
    const encodes = chain.map(({ name }) => name).join('+');
    return [`${tier}:`, ...(decode ? ['decodes'] : []), ...(encodes ? [`encodes ${encodes}`] : [])].join(' ');
  });

const ENCODINGS: Pick<Study, 'encodings'> = { encodings: { 'mobile-edge': 'fp16', 'edge-cloud': ['int8', 'deflate'] } };

test('tensors between stages are encoded as the study says of the first link that they cross', () => {
  assert.deepEqual(coded(requests('mobile-edge', 2, ENCODINGS)), ['mobile: encodes fp16', 'edge: decodes']);
  assert.deepEqual(coded(requests('mobile-cloud', 2, ENCODINGS)), ['mobile: encodes fp16', 'cloud: decodes']);
  assert.deepEqual(coded(requests('mobile-edge-cloud', 3, ENCODINGS)), [
    'mobile: encodes fp16',
    'edge: decodes encodes int8+deflate',
    'cloud: decodes',
  ]);
  assert.deepEqual(coded(requests('mobile-edge', 2)), ['mobile:', 'edge:']);
  const one = { encodings: { 'edge-cloud': 'fp16' as const } };
  assert.deepEqual(coded(requests('mobile-edge-cloud', 3, one)), ['mobile:', 'edge: encodes fp16', 'cloud: decodes']);
});

test('an item on its way to the first stage is not encoded, whatever it is sent as', () => {
  for (const payload of ['encoded', 'tensor'] as const) {
    assert.deepEqual(coded(requests('cloud', 1, { ...ENCODINGS, payload })), ['mobile:', 'cloud:']);
    assert.deepEqual(coded(requests('edge-cloud', 2, { ...ENCODINGS, payload })), [
      'mobile:',
      'edge: encodes int8+deflate',
      'cloud: decodes',
    ]);
  }
});

test("a recipe's own encoding goes before the link's, and fp32 is none", () => {
  const own = { chain: [{ name: 'int8', options: { axis: 1 } }], ranges: { a: { min: [0], max: [1] } } };
  const made = requests('mobile-edge-cloud', 3, ENCODINGS, 'warm', [own, { chain: [{ name: 'fp32', options: {} }] }]);
  assert.deepEqual(coded(made), ['mobile: encodes int8', 'edge: decodes', 'cloud:']);
  assert.deepEqual(JSON.parse(made.at(-1)?.request.encodeJson ?? ''), own);
});

test('stages in reserve decode and encode as they would on their own nodes', () => {
  const { onHopFailure } = parsePolicy({ policy: 'fallback' });
  const [, , mobile] = requests('mobile-edge-cloud', 3, { ...ENCODINGS, onHopFailure });
  assert.deepEqual(
    mobile?.request.fallback.map(({ decode, encodeJson }) => [decode, encodeJson.includes('int8')]),
    [
      [true, true],
      [true, false],
    ],
  );
});
