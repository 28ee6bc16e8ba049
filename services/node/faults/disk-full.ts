import type { NodeFault } from './fault.js';

/** The node's store has no room: what is written to it fails as on a full disk, what it holds stays readable. */
export const diskFull: NodeFault = {
  name: 'disk-full',
  start(_options, { store }) {
    store.full = true;
    return () => {
      store.full = false;
    };
  },
};
