import { TierbedError } from '../../../base/errors.js';
import type { Slot } from '../batch-inputs.js';

/** An item's float32 tensor as rows and columns: [outer, rows, columns, inner]. */
export interface Planes {
  /** Position among the item's slots. */
  readonly slot: number;
  readonly outer: number;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
}

/** Numbers of channels that pictures have. */
const CHANNELS = [1, 2, 3, 4];

/**
 * The pictures among an item's inputs: float32 tensors of three axes, channels first, or last where only the last axis
 * can be channels.
 *
 * @param kind of augmentation, for the message
 * @throws TierbedError `invalid` when there is none
 */
export function pictures(slots: readonly Slot[], kind: string): readonly [Planes, ...Planes[]] {
  const found = slots.flatMap(({ values, shape: [first = 0, second = 0, third = 0, ...more] }, slot): Planes[] => {
    if (!(values instanceof Float32Array) || third === 0 || more.length > 0) return [];
    const last = CHANNELS.includes(third) && !CHANNELS.includes(first);
    return [
      last
        ? { slot, outer: 1, rows: first, columns: second, inner: third }
        : { slot, outer: first, rows: second, columns: third, inner: 1 },
    ];
  });
  if (isSome(found)) return found;
  throw refused(slots, kind, 'a float32 picture [N, channels, height, width]');
}

/** Pictures, and series: float32 tensors whose last axis is time. @throws as `pictures` */
export function picturesOrSeries(slots: readonly Slot[], kind: string): readonly [Planes, ...Planes[]] {
  const series = slots.flatMap(({ values, shape }, slot): Planes[] => {
    if (!(values instanceof Float32Array) || shape.length === 0 || shape.length > 2) return [];
    return [
      {
        slot,
        outer: shape.length === 2 ? (shape[0] as number) : 1,
        rows: 1,
        columns: shape.at(-1) as number,
        inner: 1,
      },
    ];
  });
  return isSome(series) ? series : pictures(slots, kind);
}

/** @param wanted what the augmentation works on */
export function refused(slots: readonly Slot[], kind: string, wanted: string): TierbedError {
  const have = slots.map(({ input, shape }) => `${input} [N, ${shape.join(', ')}]`).join(', ');
  return new TierbedError('invalid', `augment: ${kind} works on ${wanted}, and the model takes ${have}`, {
    fix: `Leave ${kind} out.`,
  });
}

function isSome<T>(list: readonly T[]): list is readonly [T, ...T[]] {
  return list.length > 0;
}

/** What is where a picture was moved away: nothing, or what was at its edge. */
export type Border = 'zero' | 'edge';

/**
 * Moves a picture, in place: what was at (row, column) of `scratch` comes to (row - down, column - right).
 *
 * @param scratch a copy of the values
 */
export function move(
  values: Float32Array,
  scratch: Float32Array,
  { outer, rows, columns, inner }: Planes,
  down: number,
  right: number,
  border: Border,
): void {
  const rowSize = columns * inner;
  for (let plane = 0; plane < outer; plane++) {
    for (let row = 0; row < rows; row++) {
      const to = (plane * rows + row) * rowSize;
      const source = border === 'edge' ? Math.min(rows - 1, Math.max(0, row + down)) : row + down;
      if (source < 0 || source >= rows) {
        values.fill(0, to, to + rowSize);
        continue;
      }
      const from = (plane * rows + source) * rowSize;
      for (let column = 0; column < columns; column++) {
        const given = column + right;
        const at = border === 'edge' ? Math.min(columns - 1, Math.max(0, given)) : given;
        const outside = at < 0 || at >= columns;
        for (let i = 0; i < inner; i++) {
          values[to + column * inner + i] = outside ? 0 : (scratch[from + at * inner + i] as number);
        }
      }
    }
  }
}
