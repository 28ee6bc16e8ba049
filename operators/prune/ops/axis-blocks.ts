/** Axes of two shapes that hold the same elements; those of size 1 are left out. */
export interface AxisBlock {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/**
 * Pairs up the axes of two shapes of the same elements in the same order, in blocks as small as can be.
 *
 * @returns undefined when the shapes hold different numbers of elements, or none
 * @example axisBlocks([7, 12, 64], [7, 768]) // [{from: [0], to: [0]}, {from: [1, 2], to: [1]}]
 */
export function axisBlocks(from: readonly number[], to: readonly number[]): AxisBlock[] | undefined {
  if (from.includes(0) || to.includes(0)) return undefined;
  const left = from.map((_, axis) => axis).filter((axis) => from[axis] !== 1);
  const right = to.map((_, axis) => axis).filter((axis) => to[axis] !== 1);
  const blocks: AxisBlock[] = [];
  while (left.length > 0 && right.length > 0) {
    const block = { from: [left.shift() as number], to: [right.shift() as number] };
    let [a, b] = [from[block.from[0] as number] as number, to[block.to[0] as number] as number];
    while (a !== b) {
      const next = a < b ? left.shift() : right.shift();
      if (next === undefined) return undefined;
      if (a < b) {
        block.from.push(next);
        a *= from[next] as number;
      } else {
        block.to.push(next);
        b *= to[next] as number;
      }
    }
    blocks.push(block);
  }
  return left.length + right.length === 0 ? blocks : undefined;
}
