/**
 * The p-quantile of values in ascending order, linearly interpolated between the two nearest (type 7 of Hyndman and
 * Fan, The American Statistician 1996: what R and NumPy give by default).
 *
 * @throws RangeError when there are no values
 */
export function quantileOfSorted(sorted: ArrayLike<number>, p: number): number {
  if (sorted.length === 0) throw new RangeError('no values');
  const at = (sorted.length - 1) * p;
  const low = Math.floor(at);
  const below = sorted[low] as number;
  const above = sorted[Math.min(low + 1, sorted.length - 1)] as number;
  return below + (above - below) * (at - low);
}
