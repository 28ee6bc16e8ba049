import { messageOf, TierbedError } from '../../../base/errors.js';
import { clockStep } from './clock-step.js';
import { corruptedMessage } from './corrupted-message.js';
import { diskFull } from './disk-full.js';
import type { FaultOptions, NodeFault, NodeFaultContext } from './fault.js';
import { slowReader } from './slow-reader.js';

/** What a node can do wrong on request. */
const NODE_FAULTS: readonly NodeFault[] = [clockStep, corruptedMessage, diskFull, slowReader];

/** The faults that are in force on one node: none, until it is told. */
export class NodeFaults {
  readonly #context: NodeFaultContext;
  readonly #inForce = new Map<string, () => void>();

  constructor(context: NodeFaultContext) {
    this.#context = context;
  }

  /**
   * Puts a fault in force, in place of one of its name, or takes it away.
   *
   * @param optionsJson '' takes it away; that of one that is not in force is left alone
   * @throws TierbedError `missing` for a name that there is not, `invalid` for options: then nothing is in force by it
   */
  set(name: string, optionsJson: string): void {
    const fault = NODE_FAULTS.find((known) => known.name === name);
    if (!fault) {
      const names = NODE_FAULTS.map((known) => known.name).join(', ');
      throw new TierbedError('missing', `a node has no fault "${name}"`, { fix: `Use one of: ${names}.` });
    }
    this.#inForce.get(name)?.();
    this.#inForce.delete(name);
    if (optionsJson === '') return;
    this.#inForce.set(name, fault.start(parse(name, optionsJson), this.#context));
  }

  /** Names of the faults in force. */
  get inForce(): readonly string[] {
    return [...this.#inForce.keys()];
  }

  /** Takes all of them away. */
  clear(): void {
    for (const undo of this.#inForce.values()) undo();
    this.#inForce.clear();
  }
}

function parse(name: string, json: string): FaultOptions {
  let options: unknown;
  try {
    options = JSON.parse(json);
  } catch (error) {
    throw new TierbedError('invalid', `the options of ${name} are not JSON: ${messageOf(error)}`);
  }
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options as FaultOptions;
  throw new TierbedError('invalid', `the options of ${name} are not an object`);
}
