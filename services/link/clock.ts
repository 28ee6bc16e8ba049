/** Milliseconds of the host's monotonic clock: the same reading in every thread and process of this machine. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
