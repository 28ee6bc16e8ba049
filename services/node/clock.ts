import { readClockNs } from '../rpc/clock.js';

/**
 * Nanoseconds of the host's monotonic clock, which every process on the host shares (Linux: CLOCK_MONOTONIC), so that
 * intervals between processes are differences of two readings.
 */
export function nowNs(): bigint {
  return readClockNs();
}

/** An interval as a number; exact up to 2^53 ns, 104 days. */
export function elapsedNs(fromNs: bigint, toNs: bigint = nowNs()): number {
  return Number(toNs - fromNs);
}

/** Milliseconds of a number of nanoseconds. */
export function toMs(ns: number): number {
  return ns / 1e6;
}
