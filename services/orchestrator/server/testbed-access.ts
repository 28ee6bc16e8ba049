import { TierbedError } from '../../../base/errors.js';
import { silent } from '../../../base/progress.js';
import type { LinkSettings, OpenLinks } from '../../link/types.js';
import type { FaultBoard } from '../faults/fault-board.js';
import type { Runtime, Testbed } from '../runtimes/runtime.js';
import type { StatusView } from './api.js';

/** Makes the fault board of a testbed. */
export type FaultBoardFactory = (testbed: Testbed) => FaultBoard;

/**
 * The testbed that links, tiers and faults belong to: the running study's, else the one that the runtime keeps. Also
 * knows what its links were set to.
 */
export class TestbedAccess {
  /** The runtime for studies. */
  readonly runtime: Runtime;
  readonly #makeBoard: FaultBoardFactory | undefined;
  readonly #boards = new WeakMap<Testbed, FaultBoard>();
  readonly #links = new WeakMap<OpenLinks, readonly LinkSettings[]>();
  #ofStudy: Testbed | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(runtime: Runtime, makeBoard?: FaultBoardFactory) {
    this.#makeBoard = makeBoard;
    this.runtime = {
      ...runtime,
      open: async (request, progress, signal) => {
        const testbed = await runtime.open(request, progress, signal);
        this.#links.set(testbed.links, request.links);
        return testbed;
      },
    };
  }

  /** The running study's testbed is there... */
  opened(testbed: Testbed): void {
    this.#ofStudy = testbed;
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
    if (this.#ofStudy) return this.#ofStudy;
    if (this.runtime.standing) return this.runtime.standing(silent, signal);
    throw new TierbedError(
      'refused',
      `there is no testbed: the ${this.runtime.name} runtime has one only while a study measures`,
      {
        fix: 'Start a study, or use the docker runtime (tierbed up).',
      },
    );
  }

  /** What the links are set to. */
  async linksInForce({ links }: Testbed): Promise<readonly LinkSettings[]> {
    const known = links as OpenLinks & { inForce?(): Promise<readonly LinkSettings[]> };
    return (await known.inForce?.()) ?? this.#links.get(links) ?? [];
  }

  /** Changes one link. */
  async setLink({ links }: Testbed, link: LinkSettings): Promise<void> {
    await links.set(link);
    const before = this.#links.get(links) ?? [];
    this.#links.set(links, [...before.filter(({ name }) => name !== link.name), link]);
  }

  /** @throws TierbedError `refused` where there are no faults */
  board(testbed: Testbed): FaultBoard {
    if (!this.#makeBoard) throw new TierbedError('refused', 'this orchestrator puts no faults in force');
    const board = this.#boards.get(testbed) ?? this.#makeBoard(testbed);
    this.#boards.set(testbed, board);
    return board;
  }

  /** Runs changes one after the other: each starts from what the one before left. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const turn = before.then(work, work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}
