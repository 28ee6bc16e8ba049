import type { NamedTensor } from '../../onnx/tensor.js';
import { digest } from '../../workloads/postprocess/digest.js';
import { postprocess } from '../../workloads/postprocess/index.js';
import type { CallContext } from '../rpc/method.js';
import { elapsedNs, nowNs } from './clock.js';
import type { Deployments } from './deployments.js';
import { type HopRecord, newHop, type SampleTimes, sampleTimes } from './hops.js';
import { ITEM_INPUT, type Pipeline } from './pipeline.js';
import type { Store } from './store.js';

/** One measured request, as it was. */
export interface Sample extends SampleTimes {
  /** In the order of the chain; hop 0 is this node. */
  readonly hops: readonly HopRecord[];
  /** '' where the deployment has no postprocessing. */
  readonly prediction: string;
  readonly outputSha256: string;
  /** Unix time in ms. */
  readonly startedAtMs: number;
}

/** What a measured request runs on. */
export interface SampleContext {
  readonly tier: string;
  readonly store: Store;
  readonly deployments: Deployments;
  readonly pipeline: Pipeline;
}

/**
 * Runs one measured request from this node. The item is in memory before the clock starts, as a camera would have it;
 * the clock stops when the prediction is known.
 *
 * @throws TierbedError `missing` for an item or a deployment that is not here, and what the stages throw
 */
export async function runSample(
  context: SampleContext,
  deploymentName: string,
  itemSha256: string,
  call: CallContext,
): Promise<Sample> {
  const item = await context.store.read(itemSha256);
  const inputs: NamedTensor[] = [{ name: ITEM_INPUT, tensor: { dtype: 'string', shape: [1], data: [item] } }];
  return context.deployments.use(deploymentName, async (deployment) => {
    const hop = newHop(context.tier, 0);
    const startedAtMs = performance.timeOrigin + performance.now();
    const startNs = nowNs();
    const { outputs, behind } = await context.pipeline.run({ deployment, inputs, readyNs: startNs, call, hop });
    const answeredNs = nowNs();
    const prediction = deployment.spec.postprocess ? postprocess(deployment.spec.postprocess, outputs) : '';
    const endNs = nowNs();
    const hops = [hop, ...behind];
    return {
      ...sampleTimes(elapsedNs(startNs, endNs), hops, elapsedNs(answeredNs, endNs)),
      hops,
      prediction,
      outputSha256: digest(outputs),
      startedAtMs,
    };
  });
}
