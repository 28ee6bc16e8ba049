import { TierbedError } from '../../base/errors.js';
import { groupLeft } from './facts.js';
import type { Plan } from './graph/plan.js';
import { nodeLabel } from './graph/view.js';

/** The nodes whose rounding may cost accuracy, in running order: those that pass elements on round nothing. */
export function sensitiveNodes({ nodes, view }: Plan): string[] {
  return view.index.order.flatMap((i) => {
    const planned = nodes.get(i);
    return planned && planned.type.kind !== 'pass' && planned.type.kind !== 'clip' ? [nodeLabel(planned.node)] : [];
  });
}

/** @param operator who quantises, for the message @throws TierbedError `invalid` when a plan has no node that gains */
export function refuseNothing({ nodes, left }: Plan, name: string, operator: string): void {
  if ([...nodes.values()].some(({ type }) => type.kind === 'product' || type.kind === 'table')) return;
  const reasons = groupLeft(left)
    .slice(0, 3)
    .map(({ type, reason, nodes }) => `${nodes.length} ${type}: ${reason}`);
  throw new TierbedError('invalid', `${name} has no node that ${operator} quantises (${reasons.join('; ')})`, {
    fix: 'Export a model with Conv, Gemm or MatMul whose weights are constants; or exclude less.',
  });
}
