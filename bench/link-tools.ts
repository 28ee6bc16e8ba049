// What bench:link reads from ping, iperf3 and sockperf.
import { median } from './report.js';

/** Round trips in ms of `ping`, in order, and the numbers of the answers that came (from 1). */
export function parsePing(text: string): { readonly tripsMs: readonly number[]; readonly seen: readonly number[] } {
  const found = [...text.matchAll(/icmp_seq=(\d+) .*time=([\d.]+) ms/g)];
  return { tripsMs: found.map((m) => Number(m[2])), seen: found.map((m) => Number(m[1])) };
}

interface IperfSide {
  readonly intervals?: readonly { readonly sum: { readonly bits_per_second: number; readonly omitted: boolean } }[];
}

/**
 * Payload rate in Mbit/s that arrived: the median of the seconds that the receiving side of `iperf3 --json` counted, which
 * is the server's where its output was asked for. iperf3's own mean also counts what was in flight at either end, and the
 * second in which BBR empties its window.
 * @throws Error with iperf3's own words
 */
export function parseIperf(text: string): number {
  const result = JSON.parse(text) as IperfSide & {
    readonly error?: string;
    readonly server_output_json?: IperfSide;
  };
  const { intervals = [] } = result.server_output_json ?? result;
  const rates = intervals.filter(({ sum }) => !sum.omitted).map(({ sum }) => sum.bits_per_second);
  if (result.error !== undefined || rates.length === 0) throw new Error(`iperf3: ${result.error ?? 'no figure'}`);
  return median(rates) / 1e6;
}

/** Median latency in ms of `sockperf ping-pong`, which gives half of a round trip. */
export function parseSockperf(text: string): number {
  const found = /percentile 50\.000 =\s+([\d.]+)/.exec(text);
  if (!found) throw new Error(`sockperf: no figure in\n${text}`);
  return Number(found[1]) / 1000;
}

/** Mean length of the runs that are missing between the first and the last that were seen. */
export function meanRun(seen: readonly number[]): number {
  const gaps = seen.slice(1).map((n, i) => n - (seen[i] as number) - 1);
  const runs = gaps.filter((gap) => gap > 0);
  return runs.length === 0 ? 0 : runs.reduce((sum, gap) => sum + gap, 0) / runs.length;
}

/** As `ping` prints a round trip: three digits, and whole ms from 100 on. */
export function asPingPrints(ms: number): number {
  const digits = ms < 1 ? 3 : ms < 10 ? 2 : ms < 100 ? 1 : 0;
  return Number(ms.toFixed(digits));
}

/** Kolmogorov's distance of a sample from another: the largest difference of their distribution functions. */
export function distance(sample: readonly number[], reference: readonly number[]): number {
  const a = sample.toSorted((x, y) => x - y);
  const b = reference.toSorted((x, y) => x - y);
  let largest = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const value = Math.min(a[i] as number, b[j] as number);
    while (a[i] === value) i++;
    while (b[j] === value) j++;
    largest = Math.max(largest, Math.abs(i / a.length - j / b.length));
  }
  return largest;
}
