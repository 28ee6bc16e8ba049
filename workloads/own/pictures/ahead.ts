/** Gives `make(0)`, `make(1)`... in order, with up to `depth` of them under way at a time. */
export async function* ahead<T>(count: number, depth: number, make: (index: number) => Promise<T>): AsyncGenerator<T> {
  const underWay: Promise<T>[] = [];
  const begin = (index: number): void => {
    const promise = make(index);
    promise.catch(() => {}); // one that fails is seen when its turn comes, if it comes
    underWay.push(promise);
  };
  let next = 0;
  while (next < count && underWay.length < depth) begin(next++);
  for (let first = underWay.shift(); first; first = underWay.shift()) {
    const value = await first;
    if (next < count) begin(next++);
    yield value;
  }
}
