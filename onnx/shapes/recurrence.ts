import { type NodeContext, type Rule, type Rules, unknownDims } from './context.js';

/**
 * X is [sequence, batch, input], or [batch, sequence, input] with layout 1; Y has a direction axis before the batch (before
 * the hidden axis with layout 1), the last states have it first (second with layout 1).
 */
function recurrent(states: number): Rule {
  return (c: NodeContext) => {
    const dtype = c.dtype(0);
    const [first, second] = c.shape(0) ?? unknownDims(3);
    const directions = c.string('direction', 'forward') === 'bidirectional' ? 2 : 1;
    const hidden = c.int('hidden_size') ?? c.shape(2)?.[2];
    const batchFirst = c.int('layout', 0) === 1;
    const sequence = { dtype, shape: [first, ...(batchFirst ? [second, directions] : [directions, second]), hidden] };
    const state = { dtype, shape: batchFirst ? [first, directions, hidden] : [directions, second, hidden] };
    return [sequence, ...new Array<typeof state>(states).fill(state)];
  };
}

/** Recurrent layers. */
export const recurrenceRules: Rules = { RNN: recurrent(1), GRU: recurrent(1), LSTM: recurrent(2) };
