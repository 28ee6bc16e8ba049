import type { Node } from '../../onnx/model.js';
import type { LeftNode } from './graph/choice.js';

/** How many nodes of each type there are, the most frequent first. */
export function countTypes(nodes: Iterable<{ readonly opType: string } | Node>): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { opType } of nodes) counts.set(opType, (counts.get(opType) ?? 0) + 1);
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]));
}

/** Nodes that stayed in float for one reason. */
export interface LeftGroup {
  readonly type: string;
  readonly reason: string;
  readonly nodes: readonly string[];
}

/** Nodes that stayed in float by type and reason. */
export function groupLeft(left: readonly LeftNode[]): LeftGroup[] {
  const groups = new Map<string, { type: string; reason: string; nodes: string[] }>();
  for (const { name, type, reason } of left) {
    const key = `${type}\n${reason}`;
    const group = groups.get(key);
    if (group) group.nodes.push(name);
    else groups.set(key, { type, reason, nodes: [name] });
  }
  return [...groups.values()];
}
