const ROUNDS = 9;

/**
 * Bytes that this machine reads and writes in a millisecond when it copies blocks of a size, with one thread: each
 * byte that is copied counts twice. Measured, the best of a few rounds.
 */
export function copyRate(bytes: number): number {
  const from = Buffer.alloc(bytes, 1);
  const to = Buffer.alloc(bytes);
  // Long enough for the clock, however small the block.
  const times = Math.max(1, Math.ceil((1 << 20) / bytes));
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    for (let i = 0; i < times; i++) from.copy(to);
    best = Math.min(best, performance.now() - startMs);
  }
  return (2 * bytes * times) / best;
}
