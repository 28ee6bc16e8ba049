import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, TierbedError } from '../../../base/errors.js';
import { silent } from '../../../base/progress.js';
import type { LinkSettings } from '../../link/types.js';
import type { LinkReport } from '../../link/verify/verify.js';
import type { FaultBoard } from '../faults/fault-board.js';
import type { OrchestratorMetrics } from '../metrics/metrics.js';
import type { Runtime, Testbed } from '../runtimes/runtime.js';
import type { KnownFault, StatusView } from './api.js';

/** A testbed that is not there yet is asked for again after this. */
const PREPARE_AGAIN_MS = 1_000;
/** One that is there is looked at so often: what was lost of it is brought back, though nobody asked for it. */
const KEEP_EVERY_MS = 5_000;
/** A study has taken the testbed, or left it, by then. */
const HANDED_OVER_WITHIN_MS = 30_000;
const HANDED_OVER_EVERY_MS = 100;

/** What the service asks of the faults of a testbed. */
export type FaultAccess = Pick<FaultBoard, 'start' | 'stop' | 'active'>;

/** What the service knows of faults. */
export interface FaultSupport {
  /** Those there are. */
  readonly known: readonly KnownFault[];
  /** The faults of a testbed that no study runs on; absent where there are none then. */
  readonly board?: (testbed: Testbed, links: readonly LinkSettings[]) => FaultAccess;
}

/**
 * The testbed that links, tiers and faults belong to: the running study's, else the one that the runtime keeps. Also
 * knows what its links were set to.
 */
export class TestbedAccess {
  /** The runtime for studies. */
  readonly runtime: Runtime;
  readonly #faults: FaultSupport | undefined;
  readonly #metrics: OrchestratorMetrics;
  readonly #boards = new WeakMap<Testbed, FaultAccess>();
  #waitingFor: string | undefined;
  #ofStudy: { readonly testbed: Testbed; readonly board: FaultAccess | undefined } | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(runtime: Runtime, metrics: OrchestratorMetrics, faults?: FaultSupport) {
    this.runtime = runtime;
    this.#metrics = metrics;
    this.#faults = faults;
    if (runtime.standing) this.#waitingFor = 'the testbed is not there yet';
  }

  /** Why no study can start yet, or undefined. */
  get waitingFor(): string | undefined {
    return this.#ofStudy ? undefined : this.#waitingFor;
  }

  /** Makes the testbed that the runtime keeps ready, and keeps it so; where it keeps none there is nothing to do. */
  async keep(signal: AbortSignal): Promise<void> {
    if (!this.runtime.standing) return;
    while (!signal.aborted) {
      const ready = this.#ofStudy !== undefined || this.runtime.busy?.() === true || (await this.#prepare(signal));
      await delay(ready ? KEEP_EVERY_MS : PREPARE_AGAIN_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #prepare(signal: AbortSignal): Promise<boolean> {
    try {
      const { links, tiers } = await this.testbed(signal);
      if (this.#waitingFor === undefined) return true;
      this.#metrics.setLinks(await links.inForce());
      this.#metrics.watchTiers(tiers);
      this.#waitingFor = undefined;
      return true;
    } catch (error) {
      // It was ready once: what is lost for a while does not stop a study from being taken.
      if (this.#waitingFor !== undefined) this.#waitingFor = messageOf(error);
      return false;
    }
  }

  /** The running study's testbed is there, and its faults where it has some... */
  opened(testbed: Testbed, board?: FaultAccess): void {
    this.#ofStudy = { testbed, board };
    this.#waitingFor = undefined;
  }

  /** ...and no longer. */
  closed(): void {
    this.#ofStudy = undefined;
  }

  get kind(): StatusView['testbed'] {
    return this.#ofStudy ? 'study' : this.runtime.standing ? 'standing' : 'none';
  }

  /** @throws TierbedError `refused` when there is no testbed now, `unavailable` when it does not answer */
  async testbed(signal: AbortSignal): Promise<Testbed> {
    const endMs = performance.now() + HANDED_OVER_WITHIN_MS;
    while (!this.#ofStudy && this.runtime.busy?.() && performance.now() < endMs && !signal.aborted) {
      await delay(HANDED_OVER_EVERY_MS);
    }
    if (this.#ofStudy) return this.#ofStudy.testbed;
    if (this.runtime.standing) return this.runtime.standing(silent, signal);
    const { name } = this.runtime;
    throw new TierbedError('refused', `there is no testbed: the ${name} runtime has one only while a study measures`, {
      fix: 'Start a study, or use the docker runtime (tierbed up).',
    });
  }

  /** What the links are set to. */
  async linksInForce({ links }: Testbed): Promise<readonly LinkSettings[]> {
    return links.inForce();
  }

  /** Changes one link. */
  async setLink({ links }: Testbed, link: LinkSettings): Promise<void> {
    await links.set(link);
    this.#metrics.setLinks([link]);
  }

  /** What a proof of the links measured. */
  linksProved(report: LinkReport): void {
    this.#metrics.linksProved(report);
  }

  get knownFaults(): readonly KnownFault[] {
    return this.#faults?.known ?? [];
  }

  /** The faults of the testbed that there is now, or undefined. */
  async boardIfAny(signal: AbortSignal): Promise<FaultAccess | undefined> {
    if (this.#ofStudy?.board) return this.#ofStudy.board;
    return this.#ofStudy || this.runtime.standing ? this.#boardOf(await this.testbed(signal)) : undefined;
  }

  async #boardOf(testbed: Testbed): Promise<FaultAccess | undefined> {
    const board = this.#boards.get(testbed) ?? this.#faults?.board?.(testbed, await testbed.links.inForce());
    if (!board) return undefined;
    this.#boards.set(testbed, board);
    this.#metrics.watchFaults(board);
    return board;
  }

  /** @throws TierbedError `refused` where no fault can be put in force now */
  async board(signal: AbortSignal): Promise<FaultAccess> {
    const board = await this.boardIfAny(signal);
    if (board) return board;
    await this.testbed(signal);
    throw new TierbedError('refused', 'faults are put in force while a study measures, and none does', {
      fix: 'Start a study first (tierbed up, tierbed run); its own timeline can hold faults, too.',
    });
  }

  /** Runs changes one after the other: each starts from what the one before left. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}
