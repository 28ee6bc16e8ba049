import type { LinkSettings } from '../../link/types.js';
import { EventLog } from '../events/event-log.js';
import { LinkLayers } from '../events/link-layers.js';
import type { Testbed } from '../runtimes/runtime.js';
import { FaultBoard } from './fault-board.js';

/**
 * The faults of a testbed that no study runs on: nothing is deployed there that would have to be deployed again. During a
 * study it is the study's own board that knows.
 *
 * @param links what is in force
 */
export function openFaultBoard(testbed: Testbed, links: readonly LinkSettings[]): FaultBoard {
  const log = new EventLog(() => 0);
  const redeploy = async (): Promise<void> => {};
  return new FaultBoard({ testbed, links: new LinkLayers(testbed.links, links), redeploy, seed: 1 }, log);
}
