/**
 * The least count from 1 to `most` for which something holds, where it holds from some count on: doubled until it does, then
 * halved in between. Where it comes and goes, the count given is one for which it held.
 *
 * @returns undefined when it does not hold even for `most`
 */
export async function leastThatHolds(
  most: number,
  holds: (count: number) => Promise<boolean>,
): Promise<number | undefined> {
  let fails = 0;
  let count = 1;
  while (!(await holds(count))) {
    if (count >= most) return undefined;
    fails = count;
    count = Math.min(2 * count, most);
  }
  while (count - fails > 1) {
    const middle = (count + fails) >> 1;
    if (await holds(middle)) count = middle;
    else fails = middle;
  }
  return count;
}
