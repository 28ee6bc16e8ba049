/** A metric: predictions and labels in, a number out. One file each in `workloads/metrics/`. */
export interface Metric {
  readonly name: string;
  /** What it is, for a table's heading. */
  readonly title: string;
  /** `fraction`: 0 to 1, shown as a percentage. */
  readonly unit: 'fraction';
  accumulate(): MetricAccumulator;
}

/** Takes predictions as they come, in memory that does not grow with them. */
export interface MetricAccumulator {
  add(prediction: string, label: string): void;
  /** How many were added. */
  readonly n: number;
  /** The metric of all that was added so far; null when there is none. */
  value(): number | null;
}
