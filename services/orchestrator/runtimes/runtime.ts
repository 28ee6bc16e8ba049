import type { Progress } from '../../../base/progress.js';
import type { LinkSettings, OpenLinks } from '../../link/types.js';
import type { NodeClient } from '../../rpc/node-client.js';
import type { DescribeResponse } from '../../rpc/node-control.js';
import type { TierName, TierSet, TierSettings } from '../tiers/tiers.js';

/** What a study asks of a runtime. */
export interface TestbedRequest {
  readonly tiers: TierSet;
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

/** What a tier used since it was started, as the runtime sees it from outside. */
export interface TierUsage {
  readonly cpuSeconds: number;
  /** How long its CPU quota held it back, summed over processors. */
  readonly throttledSeconds: number;
  /** What counts against its limit. */
  readonly memoryBytes: number;
}

/** Of a tier's node: `paused`, it stands still where it is. */
export type TierState = 'running' | 'paused' | 'stopped';

/** What can be done to tiers while they run. Each call resolves when it is so. */
export interface TierControl {
  state(tier: TierName): Promise<TierState>;
  limits(tier: TierName): Promise<TierLimits>;
  /** Absent where the runtime cannot tell. */
  usage?(tier: TierName): Promise<TierUsage>;
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

/** Something of the testbed that was not there for a while. */
export interface Interruption {
  /** The service: a tier, its link agent (`edge-link`), the gate... */
  readonly what: string;
  readonly why: string;
  /** When it was noticed, ISO 8601. */
  readonly at: string;
  /** Until all was as before; null when it was not when the run ended. */
  readonly tookMs: number | null;
}

/** What came back, and what is to be done with it. */
export interface Recovery {
  /** Their nodes are new: nothing is deployed on them. */
  readonly tiers: readonly TierName[];
  /** The links were configured anew, and are to be proven again. */
  readonly linksRenewed: boolean;
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
  /** Aborted when a node is lost; another one after `recover`. */
  readonly lostSignal: AbortSignal;
  /** Looks whether all is there, for losses that show late; `lost` tells then. Never throws. */
  look?(): Promise<void>;
  /**
   * Waits until all is there again, and brings back what does not come by itself; absent where nothing can be.
   *
   * @throws TierbedError `unavailable` naming what did not come back, `cancelled`
   */
  recover?(signal: AbortSignal, progress: Progress): Promise<Recovery>;
  /** What was lost and came back so far. */
  interruptions?(): readonly Interruption[];
  /** What the runtime knows of each tier beside what its node says; for the results. */
  describeTiers?(): Promise<Readonly<Record<TierName, Readonly<Record<string, unknown>>>>>;
  /** Ends all of it; never throws. */
  close(): Promise<void>;
}

/** `ms`, or `percent` of what is set, whichever is more; rates by `percent` alone. */
export interface LinkTolerance {
  readonly ms: number;
  readonly percent: number;
}

/** Why a tier cannot be had. */
export interface TierProblem {
  readonly tier: TierName;
  readonly key: keyof TierSettings;
  readonly message: string;
  readonly fix: string;
}

/** Turns tiers and links into nodes and addresses: one file in `runtimes/`, one line in its table. */
export interface Runtime {
  readonly name: string;
  /** How far its links may be from what is set, unless a study says it. */
  readonly linkTolerance: LinkTolerance;
  /** The first tier that this machine cannot hold, or undefined. */
  checkTiers?(tiers: TierSet): TierProblem | undefined;
  /** @throws TierbedError `unavailable` when a node does not come up, `cancelled`; nothing is left behind then */
  open(request: TestbedRequest, progress: Progress, signal: AbortSignal): Promise<Testbed>;
  /**
   * The testbed that this runtime keeps while no study runs, the same one each time; absent where it keeps none. Closing
   * it is the runtime's own business.
   */
  standing?(progress: Progress, signal: AbortSignal): Promise<Testbed>;
  /** Whether a study is taking the testbed, has it, or is leaving it: `standing` is refused then. */
  busy?(): boolean;
}
