import type { Progress } from '../../../base/progress.js';
import type { LinkSettings, OpenLinks } from '../../link/types.js';
import type { NodeClient } from '../../rpc/node-client.js';
import type { DescribeResponse } from '../../rpc/node-control.js';
import type { TierName, TierSettings } from '../tiers.js';

/** What a study asks of a runtime. */
export interface TestbedRequest {
  readonly tiers: Readonly<Record<TierName, TierSettings>>;
  readonly links: readonly LinkSettings[];
}

/** One tier's node, ready for deployments. */
export interface TestbedNode {
  readonly tier: TierName;
  /** Its control plane, over no link. */
  readonly client: NodeClient;
  readonly description: DescribeResponse;
}

/** What a tier may use, as it is in force. */
export interface TierLimits {
  readonly cpus: number;
  readonly memoryMiB: number;
}

/** What can be done to tiers while they run. Each call resolves when it is so. */
export interface TierControl {
  limits(tier: TierName): Promise<TierLimits>;
  /** What is not named stays as it is; gives what was read back. */
  setLimits(tier: TierName, limits: Partial<TierLimits>): Promise<TierLimits>;
  /** Ends the node as a crash would: without warning. */
  kill(tier: TierName): Promise<void>;
  /** Starts a node that was killed, and waits until it answers; what was deployed on it is gone. */
  start(tier: TierName): Promise<void>;
  /** Stops all of the node's threads where they are. */
  pause(tier: TierName): Promise<void>;
  resume(tier: TierName): Promise<void>;
}

/** Three nodes and the links between them. */
export interface Testbed {
  readonly nodes: Readonly<Record<TierName, TestbedNode>>;
  readonly links: OpenLinks;
  /** @throws TierbedError `refused` from its calls where the runtime cannot do what is asked */
  readonly tiers: TierControl;
  /** What the runtime cannot do that the tiers ask for; for the results. */
  readonly notes: readonly string[];
  /** host:port of `to`'s data plane as `from` reaches it, over the links between them. */
  route(from: TierName, to: TierName): string;
  /** The first node that was lost and why, or undefined. */
  lost(): { readonly tier: TierName; readonly reason: string } | undefined;
  /** Aborted when a node is lost. */
  readonly lostSignal: AbortSignal;
  /** Ends all of it; never throws. */
  close(): Promise<void>;
}

/** Turns tiers and links into nodes and addresses: one file in `runtimes/`, one line in its table. */
export interface Runtime {
  readonly name: string;
  /** @throws TierbedError `unavailable` when a node does not come up, `cancelled`; nothing is left behind then */
  open(request: TestbedRequest, progress: Progress, signal: AbortSignal): Promise<Testbed>;
  /**
   * The testbed that this runtime keeps while no study runs, the same one each time; absent where it keeps none. Closing
   * it is the runtime's own business.
   */
  standing?(progress: Progress, signal: AbortSignal): Promise<Testbed>;
}
