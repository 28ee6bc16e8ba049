import type { SampleRow } from '../../../analysis/columns.js';
import type { LinkSettings } from '../../link/types.js';
import type { LinkReport } from '../../link/verify/verify.js';
import type { FaultBoard } from '../faults/fault-board.js';
import type { Testbed } from '../runtimes/runtime.js';

/** Sees a run from outside while it goes on, e.g. to change its links or to pass on how far it is. */
export interface RunObserver {
  /** The testbed and its faults are there, until `closed`; changes made to its links through it are recorded. */
  opened?(testbed: Testbed, faults: FaultBoard): void;
  closed?(): void;
  /** A link was set, by the timeline, a fault or somebody: it is now this. */
  linkSet?(link: LinkSettings): void;
  /** The links were measured against what the study sets, whatever came of it. */
  proved?(report: LinkReport, set: readonly LinkSettings[]): void;
  /** A row is on disk: `done` of `total` are. */
  recorded?(row: SampleRow, done: number, total: number): void;
}
