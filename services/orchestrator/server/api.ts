import type { ErrorKind } from '../../../base/errors.js';
import type { Direction, JitterDistribution, LinkName, LinkSettings } from '../../link/types.js';
import type { LinkFigure } from '../../link/verify/judge.js';
import type { Fault } from '../faults/fault.js';
import type { ActiveFault } from '../faults/fault-board.js';
import type { TierLimits, TierState } from '../runtimes/runtime.js';
import type { TierName } from '../tiers/tiers.js';

/*
 * What the orchestrator's HTTP API takes and gives, for its routes and for its client. The routes' schemas say the same
 * to callers that are not TypeScript.
 */

/** The answer to a request that failed. */
export interface ErrorBody {
  readonly error: ApiError;
}

export interface ApiError {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly fix: string | null;
}

export type StudyState = 'queued' | 'running' | 'done' | 'failed' | 'stopped';

/** What a running study is doing: `done` of `total` units of a step. */
export interface StudyStep {
  readonly label: string;
  readonly done: number;
  readonly total: number | null;
  readonly note: string | null;
}

export interface SampleCount {
  readonly recorded: number;
  readonly planned: number;
}

export interface StudyView {
  readonly id: string;
  readonly name: string;
  readonly state: StudyState;
  /** 1 for the next to run; null unless queued. */
  readonly position: number | null;
  readonly step: StudyStep | null;
  /** null until the study is planned. */
  readonly samples: SampleCount | null;
  /** ISO 8601, as the other times. */
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** Why it failed or was stopped. */
  readonly error: ApiError | null;
}

/** A file of a study: its path in the study's folder, and its content, uploaded before. */
export interface StudyFileEntry {
  readonly path: string;
  readonly sha256: string;
}

export interface NewStudy {
  /** The study's YAML. */
  readonly study: string;
  /** The name of the study's file without `.yaml`; the study's own `name` goes before it. */
  readonly name?: string;
  readonly files?: readonly StudyFileEntry[];
}

/** Events of the stream of a study, by name. */
export interface StreamEvents {
  readonly state: StudyView;
  readonly progress: StepEvent;
  readonly samples: SampleCount & { readonly failed: number };
  readonly log: { readonly time: string; readonly text: string };
}

/** A step began, went on or ended. */
export interface StepEvent extends StudyStep {
  readonly is: 'start' | 'update' | 'stop';
  /** Of a step that ended: what to say of it. */
  readonly summary: string | null;
}

export interface ResultFile {
  readonly name: string;
  readonly bytes: number;
  readonly type: string;
}

/** Settings of one direction or both; what is not named stays as it is. */
export interface LinkPatch {
  /** `both` when absent. */
  readonly direction?: Direction | 'both';
  /** Takes every setting from a preset of tiers/links.yaml; those beside it go before the preset's. */
  readonly preset?: string;
  /** 0: not limited. */
  readonly rateMbps?: number;
  readonly delayMs?: number;
  readonly jitterMs?: number;
  readonly jitterDistribution?: JitterDistribution;
  readonly lossPct?: number;
  readonly lossBurstPackets?: number;
  readonly queueBytes?: number;
  /** Nothing passes, either way. */
  readonly blocked?: boolean;
}

export interface LinksView {
  /** What shapes the links and why it was taken; null where the runtime does not say. */
  readonly driver: { readonly name: string; readonly why: string } | null;
  readonly links: readonly LinkSettings[];
}

export interface VerifyRequest {
  /** Measure although a study is running, whose samples the measurement disturbs. */
  readonly disturb?: boolean;
  readonly links?: readonly LinkName[];
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly figures: readonly LinkFigure[];
  readonly maxAttempts: number;
  readonly tookMs: number;
}

export interface TierPatch {
  readonly cpus?: number;
  readonly memoryMiB?: number;
  readonly paused?: boolean;
  /** false ends the tier's node as a crash would; true starts it again. */
  readonly running?: boolean;
}

/** As the runtime sees it, up to 5 s ago. */
export interface TierUsage {
  /** In the mean of the last seconds. */
  readonly cpus: number | null;
  readonly memoryMiB: number | null;
}

export interface TierView {
  readonly name: TierName;
  readonly state: TierState;
  /** null where the runtime limits nothing. */
  readonly limits: TierLimits | null;
  /** null where it is not known. */
  readonly usage: TierUsage | null;
  /** host:port of the tier's control plane, as the orchestrator reaches it; null where it is not running. */
  readonly control: string | null;
}

/** A fault to be put in force: its name, how long, and beside these its own options. */
export interface FaultRequest {
  readonly fault: string;
  /** Seconds until it is undone by itself. */
  readonly forS?: number;
  readonly [option: string]: unknown;
}

/** A fault that can be asked for: its name, one sentence for people, and the JSON Schema of its options. */
export type KnownFault = Pick<Fault, 'name' | 'help' | 'options'>;

export interface FaultsView {
  readonly known: readonly KnownFault[];
  readonly active: readonly ActiveFault[];
}

export interface StatusView {
  readonly version: string;
  readonly runtime: string;
  readonly startedAt: string;
  /** Of the study that is running. */
  readonly study: StudyView | null;
  readonly queued: number;
  /** What the testbed that links, tiers and faults belong to is there for. */
  readonly testbed: 'study' | 'standing' | 'none';
}

export type { ActiveFault, LinkName, LinkSettings, TierName };
