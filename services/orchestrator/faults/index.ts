import { problemOf, suggest } from '../../../base/checked-yaml.js';
import { TierbedError } from '../../../base/errors.js';
import { clockStep } from './clock-step.js';
import { corruptedMessage } from './corrupted-message.js';
import { diskFull } from './disk-full.js';
import type { Fault, FaultOptions } from './fault.js';
import { linkDown } from './link-down.js';
import { lossBurst } from './loss-burst.js';
import { memorySqueeze } from './memory-squeeze.js';
import { nodeKill } from './node-kill.js';
import { nodePause } from './node-pause.js';
import { slowCpu } from './slow-cpu.js';
import { slowReader } from './slow-reader.js';

/** The faults there are: a new one is a file here and an entry below. docs/faults.md lists them. */
export const FAULTS: readonly Fault[] = [
  linkDown,
  lossBurst,
  nodeKill,
  nodePause,
  slowCpu,
  memorySqueeze,
  diskFull,
  clockStep,
  corruptedMessage,
  slowReader,
];

/** A fault that is asked for. */
export interface FaultSpec {
  readonly fault: string;
  readonly options: FaultOptions;
  /** In seconds; absent: as its options say, else until it is stopped. */
  readonly forS?: number;
}

/** @throws TierbedError `missing` for a name that there is not, `invalid` naming the option that is wrong */
export function checkFaultSpec({ fault: name, options, forS }: FaultSpec): Fault {
  const names = FAULTS.map((known) => known.name);
  const fault = FAULTS.find((known) => known.name === name);
  if (!fault) {
    throw new TierbedError(
      'missing',
      `there is no fault '${name}'; allowed: ${names.join(', ')}`,
      suggest(name, names),
    );
  }
  if (forS !== undefined && !(forS > 0)) {
    throw new TierbedError('invalid', `${name}: forS is ${forS}: not a time in seconds above 0`);
  }
  const problem = problemOf(options, fault.options);
  if (problem) {
    const where = problem.path.length > 0 ? `${problem.path.join('.')}: ` : '';
    throw new TierbedError('invalid', `${name}: ${where}${problem.message}`, problem.fix ? { fix: problem.fix } : {});
  }
  return fault;
}
