import type { Optimization } from '../settings.js';
import { adam } from './adam.js';
import type { Optimizer } from './optimizer.js';
import { sgd } from './sgd.js';

export type { Optimizer, UpdateOptions } from './optimizer.js';

/** The optimiser that settings ask for: a new one is a file here and a line below. */
export function optimizer(settings: Optimization): Optimizer {
  switch (settings.kind) {
    case 'sgd':
      return sgd(settings);
    case 'adam':
    case 'adamw':
      return adam({ ...settings, decoupled: settings.kind === 'adamw' });
  }
}
