let stepNs = 0n;

/**
 * Nanoseconds of the host's monotonic clock as this process reads it: the same in every process of the host, unless its
 * reading was stepped.
 */
export function readClockNs(): bigint {
  const ns = process.hrtime.bigint();
  return stepNs === 0n ? ns : ns + stepNs;
}

/** From now on this process reads its clock so many nanoseconds later (earlier if below 0) than it is. */
export function stepClock(ns: bigint): void {
  stepNs = ns;
}
