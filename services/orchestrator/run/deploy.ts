import { TierbedError } from '../../../base/errors.js';
import type { Progress } from '../../../base/progress.js';
import type { LinkEncoding } from '../../../onnx/encodings/link-encoding.js';
import type { ModelFile, Variant } from '../../../operators/variant.js';
import type { Workload } from '../../../workloads/types.js';
import type { DeployRequest, DeployResponse, LocalStage } from '../../rpc/node-control.js';
import type { Testbed } from '../runtimes/runtime.js';
import { policyMessage } from '../study/failure-policy.js';
import { encodingBetween } from '../study/link-encodings.js';
import { chainOf } from '../study/placements.js';
import type { ChosenWorkload, ResolvedStudy, Strategy } from '../study/resolve.js';
import type { Study } from '../study/study.js';
import { TIER_NAMES, type TierName } from '../tiers/tiers.js';

/** What deploying one stage took and chose; for environment.json. */
export interface DeployedStage extends DeployResponse {
  readonly strategy: string;
  readonly tier: TierName;
}

/** How many hashes are asked about at a time. */
const HASHES_A_CALL = 1000;

/**
 * Sends every file that a node lacks, places the items on the mobile node, and deploys each strategy from its last stage
 * to its first, so that every node finds the next one ready.
 *
 * @param tiers the nodes to deploy to: all of them, or those that have lost what was deployed on them
 * @throws TierbedError naming the strategy and tier that could not be deployed; `cancelled`
 */
export async function deploy(
  study: ResolvedStudy,
  testbed: Testbed,
  progress: Progress,
  signal: AbortSignal,
  tiers: readonly TierName[] = TIER_NAMES,
): Promise<DeployedStage[]> {
  for (const tier of tiers) await sendModels(study, testbed, tier, progress, signal);
  if (tiers.includes('mobile')) {
    for (const workload of study.workloads) await placeItems(workload, testbed, progress, signal);
  }
  const deployed: DeployedStage[] = [];
  progress.start('deploying', study.strategies.length);
  try {
    for (const [i, strategy] of study.strategies.entries()) {
      deployed.push(...(await deployStrategy(study, strategy, testbed, signal, tiers)));
      progress.update(i + 1, strategy.id);
    }
  } finally {
    progress.stop();
  }
  return deployed;
}

async function sendModels(
  study: ResolvedStudy,
  testbed: Testbed,
  tier: TierName,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const files = filesFor(study, tier);
  const { client } = testbed.nodes[tier];
  const missing = await client.missingFiles([...files.keys()], { signal });
  if (missing.length === 0) return;
  progress.start(`sending models to ${tier}`, missing.length);
  try {
    for (const [i, sha256] of missing.entries()) {
      await client.putFile((files.get(sha256) as ModelFile).path, sha256, { signal });
      progress.update(i + 1);
    }
  } finally {
    progress.stop();
  }
}

/** Every file that a tier's node needs, by sha256: of its own stages, and of those that it holds in reserve. */
function filesFor({ file, strategies }: ResolvedStudy, tier: TierName): ReadonlyMap<string, ModelFile> {
  const files = new Map<string, ModelFile>();
  for (const { placement, variant } of strategies) {
    const chain = chainOf(placement);
    const at = chain.findIndex((hop) => hop.tier === tier);
    if (at < 0) continue;
    const hops = chain.map((_, i) => i).slice(at, holdsBehind(file.study) ? undefined : at + 1);
    for (const stage of hops.flatMap((i) => stagesOn(chain, i, variant))) {
      for (const modelFile of variant.stages[stage]?.files ?? []) files.set(modelFile.sha256, modelFile);
    }
  }
  return files;
}

/** Whether every node holds the stages behind it too. */
function holdsBehind({ onHopFailure }: Study): boolean {
  return onHopFailure.policy === 'fallback';
}

async function placeItems(
  { workload, items }: ChosenWorkload,
  testbed: Testbed,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { client } = testbed.nodes.mobile;
  progress.start(`placing the items of ${workload.name} on mobile`, items.length);
  try {
    for (let start = 0; start < items.length; start += HASHES_A_CALL) {
      const some = items.slice(start, start + HASHES_A_CALL);
      const missing = new Set(await client.missingFiles([...new Set(some.map((item) => item.sha256))], { signal }));
      for (const [i, item] of some.entries()) {
        if (missing.delete(item.sha256)) await client.putFile(await item.read(), item.sha256, { signal });
        progress.update(start + i + 1);
      }
    }
  } finally {
    progress.stop();
  }
}

async function deployStrategy(
  { file, workloads }: ResolvedStudy,
  strategy: Strategy,
  testbed: Testbed,
  signal: AbortSignal,
  tiers: readonly TierName[],
): Promise<DeployedStage[]> {
  const { workload } = workloads.find((w) => w.workload.name === strategy.workload) as ChosenWorkload;
  const deployed: DeployedStage[] = [];
  for (const { tier, request } of deployRequests(file.study, strategy, workload, (from, to) =>
    testbed.route(from, to),
  )) {
    if (!tiers.includes(tier)) continue;
    try {
      const response = await testbed.nodes[tier].client.deploy(request, { signal });
      deployed.push({ strategy: strategy.id, tier, ...response });
    } catch (error) {
      if (!(error instanceof TierbedError) || error.kind === 'cancelled') throw error;
      throw new TierbedError(error.kind, `${strategy.id} could not be deployed on ${tier}: ${error.message}`, {
        ...(error.fix === undefined ? {} : { fix: error.fix }),
        cause: error,
      });
    }
  }
  return deployed;
}

/** What each node of a strategy's chain is told, last node first. */
export function deployRequests(
  study: Study,
  strategy: Strategy,
  workload: Workload,
  route: (from: TierName, to: TierName) => string,
): { tier: TierName; request: DeployRequest }[] {
  const chain = chainOf(strategy.placement);
  const decodesAt = study.payload === 'tensor' ? 0 : chain.findIndex(({ stage }) => stage === 0);
  /** How the tensors between node i's stage and the next are encoded. */
  const encodedBehind = (i: number): LinkEncoding | undefined => {
    const [hop, next] = [chain[i], chain[i + 1]];
    const stage = hop?.stage === undefined ? undefined : strategy.variant.stages[hop.stage];
    return hop && next && stage && encodingBetween(study.encodings, stage, hop.tier, next.tier);
  };
  const alone = (stage: number | undefined): LocalStage => {
    const model = stage === undefined ? undefined : strategy.variant.stages[stage];
    const files = (model?.files ?? []).map(({ name, sha256 }) => ({ path: name, sha256 }));
    const exitJson = model?.exit ? JSON.stringify(model.exit) : '';
    return { files, preprocessJson: '', encodeJson: '', decode: false, exitJson };
  };
  /** The stages of node i, of which the first takes what comes, and gives what goes. */
  const stagesAt = (i: number): readonly [LocalStage, ...LocalStage[]] => {
    const [first, ...behind] = stagesOn(chain, i, strategy.variant);
    const own = {
      ...alone(first),
      preprocessJson: i === decodesAt ? JSON.stringify(workload.preprocess) : '',
      encodeJson: encodedBehind(i) ? JSON.stringify(encodedBehind(i)) : '',
      decode: encodedBehind(i - 1) !== undefined,
    };
    return [own, ...behind.map(alone)];
  };
  return chain
    .map(({ tier }, i): { tier: TierName; request: DeployRequest } => {
      const next = chain[i + 1];
      const [own, ...behind] = stagesAt(i);
      return {
        tier,
        request: {
          name: strategy.id,
          ...own,
          behind,
          sessionMode: strategy.session === 'cold' ? 'COLD' : 'WARM',
          warmupRuns: study.warmupRuns,
          engine: study.tiers[tier].engine,
          threads: study.tiers[tier].threads,
          next: next ? { address: route(tier, next.tier), deployment: strategy.id } : null,
          postprocessJson: i === 0 ? JSON.stringify(workload.postprocess) : '',
          graphOptimization: study.graphOptimization,
          onHopFailure: next ? policyMessage(study, chain.length - 1 - i) : null,
          fallback: holdsBehind(study) ? chain.slice(i + 1).flatMap((_, j) => stagesAt(i + 1 + j)) : [],
        },
      };
    })
    .reverse();
}

/** The stages that node i of a chain runs: its own, and on the last node all that come behind it. */
function stagesOn(chain: ReturnType<typeof chainOf>, i: number, { stages }: Variant): readonly number[] {
  const stage = chain[i]?.stage;
  if (stage === undefined) return [];
  const last = i === chain.length - 1 ? stages.length - 1 : stage;
  return Array.from({ length: last - stage + 1 }, (_, behind) => stage + behind);
}
