import { TierbedError } from '../../../base/errors.js';
import { Random } from '../../../base/random.js';
import { tamperWith } from '../../rpc/codec/tamper.js';
import type { Gather } from '../../rpc/gather.js';
import { type NodeFault, numberOf } from './fault.js';

/**
 * Flips a bit in each of `bytes` bytes of messages that the node sends on the data plane, requests and answers: of the next
 * `messages`, or of each with `probability`. Where they lie is drawn by `seed`; the stamps of the sending are spared.
 */
export const corruptedMessage: NodeFault = {
  name: 'corrupted-message',
  start(options) {
    if ((options.messages === undefined) === (options.probability === undefined)) {
      throw new TierbedError('invalid', 'a corrupted message needs either messages or probability', {
        fix: 'Give messages (the next so many) or probability (0 to 1).',
      });
    }
    let left = options.messages === undefined ? Infinity : numberOf(options, 'messages', 1, 1e9);
    const probability = numberOf(options, 'probability', 0, 1, 1);
    const flips = numberOf(options, 'bytes', 1, 1e6, 1);
    const random = new Random(numberOf(options, 'seed', 0, Number.MAX_SAFE_INTEGER, 1));
    tamperWith((message) => {
      if (left <= 0 || random.uniform() >= probability) return message;
      left--;
      return flipped(message, flips, random);
    });
    return () => tamperWith(undefined);
  },
};

/** The parts may be tensors that others read: they are copied. */
function flipped(message: Gather, flips: number, random: Random): Gather {
  const parts = message.parts.map((part) => Buffer.from(part));
  for (let i = 0; i < flips && message.byteLength > 0; i++) {
    let at = random.integer(message.byteLength);
    for (const part of parts) {
      if (at < part.length) {
        part[at] = (part[at] as number) ^ (1 << random.integer(8));
        break;
      }
      at -= part.length;
    }
  }
  return message.withParts(parts);
}
