import { TierbedError } from '../../../base/errors.js';
import { silent } from '../../../base/progress.js';
import type { LinkSettings, OpenLinks } from '../../link/types.js';
import type { Runtime, Testbed } from '../runtimes/runtime.js';
import type { StatusView } from './api.js';
import type { FaultBoard, KnownFault } from './fault-access.js';

/** What the service knows of faults. */
export interface FaultSupport {
  /** Those there are. */
  readonly known: readonly KnownFault[];
  /** The faults of a testbed that no study runs on; absent where there are none then. */
  readonly board?: (testbed: Testbed) => FaultBoard;
}

/**
 * The testbed that links, tiers and faults belong to: the running study's, else the one that the runtime keeps. Also
 * knows what its links were set to.
 */
export class TestbedAccess {
  /** The runtime for studies. */
  readonly runtime: Runtime;
  readonly #faults: FaultSupport | undefined;
  readonly #boards = new WeakMap<Testbed, FaultBoard>();
  /** What the running study's links are set to, for links that do not know it themselves. */
  #settings: readonly LinkSettings[] = [];
  #ofStudy: { readonly testbed: Testbed; readonly board: FaultBoard | undefined } | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(runtime: Runtime, faults?: FaultSupport) {
    this.#faults = faults;
    this.runtime = {
      ...runtime,
      open: (request, progress, signal) => {
        this.#settings = request.links;
        return runtime.open(request, progress, signal);
      },
    };
  }

  /** The running study's testbed is there, and its faults where it has some... */
  opened(testbed: Testbed, board?: FaultBoard): void {
    this.#ofStudy = { testbed, board };
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
    if (this.#ofStudy) return this.#ofStudy.testbed;
    if (this.runtime.standing) return this.runtime.standing(silent, signal);
    const { name } = this.runtime;
    throw new TierbedError('refused', `there is no testbed: the ${name} runtime has one only while a study measures`, {
      fix: 'Start a study, or use the docker runtime (tierbed up).',
    });
  }

  /** What the links are set to. */
  async linksInForce({ links }: Testbed): Promise<readonly LinkSettings[]> {
    const known = links as OpenLinks & { inForce?(): Promise<readonly LinkSettings[]> };
    return (await known.inForce?.()) ?? this.#settings;
  }

  /** Changes one link. */
  async setLink({ links }: Testbed, link: LinkSettings): Promise<void> {
    await links.set(link);
    this.#settings = this.#settings.map((before) => (before.name === link.name ? link : before));
  }

  get knownFaults(): readonly KnownFault[] {
    return this.#faults?.known ?? [];
  }

  /** The faults of the testbed that there is now, or undefined. */
  async boardIfAny(signal: AbortSignal): Promise<FaultBoard | undefined> {
    if (this.#ofStudy) return this.#ofStudy.board ?? this.#boardOf(this.#ofStudy.testbed);
    return this.runtime.standing && this.#faults?.board ? this.#boardOf(await this.testbed(signal)) : undefined;
  }

  #boardOf(testbed: Testbed): FaultBoard | undefined {
    const board = this.#boards.get(testbed) ?? this.#faults?.board?.(testbed);
    if (board) this.#boards.set(testbed, board);
    return board;
  }

  /** @throws TierbedError `refused` where no fault can be put in force now */
  async board(signal: AbortSignal): Promise<FaultBoard> {
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
