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

/** Three nodes and the links between them. */
export interface Testbed {
  readonly nodes: Readonly<Record<TierName, TestbedNode>>;
  readonly links: OpenLinks;
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
}
