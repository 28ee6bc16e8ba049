import { nodeFault } from './node-fault.js';

export const diskFull = nodeFault('disk-full', "The disk of a node's store is full: it takes no more files.", {}, []);
