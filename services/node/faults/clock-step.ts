import { stepClock } from '../../rpc/clock.js';
import { type NodeFault, numberOf } from './fault.js';

/** The node reads its clock `ms` later than it is (earlier below 0): all of its stamps. Days in either direction are enough. */
export const clockStep: NodeFault = {
  name: 'clock-step',
  start(options) {
    stepClock(BigInt(Math.round(numberOf(options, 'ms', -1e9, 1e9) * 1e6)));
    return () => stepClock(0n);
  },
};
