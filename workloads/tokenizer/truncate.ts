/**
 * How many tokens are kept of each text so that they are `room` together: as the tokenizers of Hugging Face truncate by
 * default (`longest_first`), the longer of two gives way first, and both are about as long when that is not enough.
 *
 * @param lengths of one text or two
 */
export function keptLengths(lengths: readonly number[], room: number): readonly number[] {
  const [first = 0, second] = lengths;
  if (second === undefined) return [Math.min(first, room)];
  if (first + second <= room) return [first, second];
  const shorter = Math.min(first, second);
  const half = Math.floor(room / 2);
  const [short, long] = shorter <= half ? [shorter, room - shorter] : [half, room - half];
  return first <= second ? [short, long] : [long, short];
}
