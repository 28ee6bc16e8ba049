// What bench:link reads from ping, iperf3 and sockperf.

/** Round trips in ms of `ping`, in order, and the numbers of the answers that came (from 1). */
export function parsePing(text: string): { readonly tripsMs: readonly number[]; readonly seen: readonly number[] } {
  const found = [...text.matchAll(/icmp_seq=(\d+) .*time=([\d.]+) ms/g)];
  return { tripsMs: found.map((m) => Number(m[2])), seen: found.map((m) => Number(m[1])) };
}

/** Payload rate in Mbit/s that `iperf3 --json` saw arrive. @throws Error with iperf3's own words */
export function parseIperf(text: string): number {
  const result = JSON.parse(text) as {
    readonly error?: string;
    readonly end?: { readonly sum_received?: { readonly bits_per_second?: number } };
  };
  const bitsPerSecond = result.end?.sum_received?.bits_per_second;
  if (bitsPerSecond === undefined) throw new Error(`iperf3: ${result.error ?? 'no figure'}`);
  return bitsPerSecond / 1e6;
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

/** Kolmogorov's distance of a sample from another: the largest difference of their distribution functions. */
export function distance(sample: readonly number[], reference: readonly number[]): number {
  const a = sample.toSorted((x, y) => x - y);
  const b = reference.toSorted((x, y) => x - y);
  let largest = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if ((a[i] as number) <= (b[j] as number)) i++;
    else j++;
    largest = Math.max(largest, Math.abs(i / a.length - j / b.length));
  }
  return largest;
}
