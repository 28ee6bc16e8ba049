// One container's side of bench:throttle: for each line on standard input, so many runs of the job, and their times in ms.
import { createInterface } from 'node:readline';
import { calibrationJob } from '../services/node/calibration-job.js';

export interface JobOrder {
  readonly jobs: number;
  /** Calibration jobs in one. */
  readonly length: number;
}

function timed({ jobs, length }: JobOrder): number[] {
  const tookMs: number[] = [];
  for (let i = 0; i < jobs; i++) {
    const from = performance.now();
    for (let part = 0; part < length; part++) calibrationJob();
    tookMs.push(performance.now() - from);
  }
  return tookMs;
}

timed({ jobs: 5, length: 1 });
process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(timed(JSON.parse(line) as JobOrder))}\n`);
}
