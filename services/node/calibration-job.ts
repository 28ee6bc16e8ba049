/** Makes the job some 5 ms on one core of the 2020s. */
const STEPS = 2_700_000;

/** What every run of the job gives, on every machine. */
export const CALIBRATION_CHECKSUM = 33435170.82134071;

/** The first runs meet code that is not optimised yet. */
const WARM_UP_JOBS = 3;
/** However slow it is, this many are measured. */
const MIN_JOBS = 5;

/** How often the job is to run, and for how long at most, in ms. */
export interface CalibrationOrder {
  readonly jobs: number;
  readonly withinMs: number;
}

/** Runs the job over and over on this thread and gives the time of each run in ms. @throws Error when one is wrong */
export function timeJobs({ jobs, withinMs }: CalibrationOrder): number[] {
  const startMs = performance.now();
  for (let i = 0; i < WARM_UP_JOBS; i++) calibrationJob();
  const tookMs: number[] = [];
  let fromMs = performance.now();
  while (tookMs.length < jobs && (tookMs.length < MIN_JOBS || fromMs - startMs < withinMs)) {
    const checksum = calibrationJob();
    const toMs = performance.now();
    if (checksum !== CALIBRATION_CHECKSUM) throw new Error(`the calibration job gave ${checksum}: this CPU miscounts`);
    tookMs.push(toMs - fromMs);
    fromMs = toMs;
  }
  return tookMs;
}

/**
 * A fixed piece of work that shows how much of a processor a tier gets: whole numbers and floating point, all of it
 * exactly defined; no memory and no allocation, so that its time depends on the processor alone. Marsaglia's xorshift and
 * a running mean of its low bits.
 */
export function calibrationJob(): number {
  let x = 0x9e3779b9 | 0;
  let mean = 1;
  for (let i = 0; i < STEPS; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    mean = mean * 0.999 + (x & 1023) * 0.001;
  }
  return (x >>> 0) + mean;
}
