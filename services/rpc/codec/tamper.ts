import type { Gather } from '../gather.js';

/** Changes an encoded data-plane message before it is sent; gives it back as it is where there is nothing to change. */
export type Tamper = (message: Gather) => Gather;

let tamper: Tamper | undefined;

/** Has every request and answer of the data plane that this process sends go through `change`; undefined: as they are. */
export function tamperWith(change: Tamper | undefined): void {
  tamper = change;
}

/** A message on its way out. */
export function outgoing(message: Gather): Gather {
  return tamper ? tamper(message) : message;
}
