import { casts } from './casts.js';
import { conversions } from './conversions.js';
import { floatLayers } from './float-layers.js';
import { instructions } from './instructions.js';
import { lostFusions } from './lost-fusions.js';
import { memoryBound } from './memory-bound.js';
import { overhead } from './overhead.js';
import type { FindReason } from './reason.js';
import { slowerLayers } from './slower-layers.js';
import { smallNodes } from './small-nodes.js';
import { threads } from './threads.js';
import { zeros } from './zeros.js';

/** What is looked for: a new reason is a file here and an entry below. */
export const REASONS: readonly FindReason[] = [
  conversions,
  floatLayers,
  slowerLayers,
  lostFusions,
  casts,
  zeros,
  instructions,
  memoryBound,
  smallNodes,
  threads,
  overhead,
];
