/**
 * The k-th smallest of numbers, k from 0 (Hoare's quickselect, the pivot being the median of three). Changes their order.
 *
 * @throws RangeError when there is no such number
 */
export function kthSmallest(values: Float32Array, k: number): number {
  if (!(k >= 0 && k < values.length)) throw new RangeError(`no ${k}th of ${values.length} numbers`);
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = medianOfThree(values[low] as number, values[(low + high) >> 1] as number, values[high] as number);
    let [i, j] = [low, high];
    while (i <= j) {
      while ((values[i] as number) < pivot) i++;
      while ((values[j] as number) > pivot) j--;
      if (i <= j) {
        const held = values[i] as number;
        values[i++] = values[j] as number;
        values[j--] = held;
      }
    }
    if (k <= j) high = j;
    else if (k >= i) low = i;
    else break;
  }
  return values[k] as number;
}

function medianOfThree(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

/** Scores of one layer's blocks, and how many of them may go. */
export interface ScoredLayer {
  readonly scores: Float32Array;
  readonly most: number;
}

/**
 * Marks the lowest scores of all layers together, as many as asked, but of no layer more than it may lose: what it would
 * have lost besides, others lose. Of equal scores those of the first layers go first.
 *
 * @returns by layer: 1 where a block goes
 */
export function lowestOfAll(layers: readonly ScoredLayer[], count: number): readonly Uint8Array[] {
  const marks: Uint8Array[] = layers.map(({ scores }) => new Uint8Array(scores.length));
  const open = new Set(layers.keys());
  let left = count;
  while (left > 0 && open.size > 0) {
    const places = [...open];
    const all = new Float32Array(places.reduce((total, i) => total + (layers[i] as ScoredLayer).scores.length, 0));
    let end = 0;
    for (const i of places) {
      all.set((layers[i] as ScoredLayer).scores, end);
      end += (layers[i] as ScoredLayer).scores.length;
    }
    const limit = kthSmallest(all, Math.min(left, all.length) - 1);
    const above = (reaches: (score: number) => boolean): number[] =>
      places.filter((i) => {
        const { scores, most } = layers[i] as ScoredLayer;
        return most < scores.length && countOf(scores, reaches) > most;
      });
    let full = above((score) => score < limit);
    if (full.length === 0) {
      // Equal scores need not all go: a layer has lost what it may only where the others do not make up the number.
      const some = layers.map(({ scores }) => new Uint8Array(scores.length));
      const missing = markBelow(layers, some, places, limit, left);
      full = missing === 0 ? [] : above((score) => score <= limit);
      if (full.length === 0) return marks.map((own, i) => (open.has(i) ? (some[i] as Uint8Array) : own));
    }
    for (const i of full) {
      const layer = layers[i] as ScoredLayer;
      marks[i] = lowest(layer.scores, layer.most);
      left -= layer.most;
      open.delete(i);
    }
  }
  return marks;
}

function countOf(scores: Float32Array, counts: (score: number) => boolean): number {
  let count = 0;
  for (const score of scores) if (counts(score)) count++;
  return count;
}

/**
 * Marks what is below a limit, then what is as high, until there are as many as asked, or each layer has lost what it may.
 *
 * @returns how many are missing
 */
function markBelow(
  layers: readonly ScoredLayer[],
  marks: readonly Uint8Array[],
  places: readonly number[],
  limit: number,
  count: number,
): number {
  let left = count;
  const lost = layers.map(() => 0);
  for (const same of [false, true]) {
    for (const i of places) {
      const [{ scores, most }, own] = [layers[i] as ScoredLayer, marks[i] as Uint8Array];
      for (let k = 0; k < scores.length && left > 0 && (lost[i] as number) < most; k++) {
        if (own[k] === 1 || !(same ? scores[k] === limit : (scores[k] as number) < limit)) continue;
        own[k] = 1;
        lost[i] = (lost[i] as number) + 1;
        left--;
      }
    }
  }
  return left;
}

/** Marks the lowest scores of one list; of equal ones the first. */
export function lowest(scores: Float32Array, count: number): Uint8Array {
  const marks = new Uint8Array(scores.length);
  if (count <= 0) return marks;
  const limit = kthSmallest(scores.slice(), Math.min(count, scores.length) - 1);
  markBelow([{ scores, most: scores.length }], [marks], [0], limit, count);
  return marks;
}
