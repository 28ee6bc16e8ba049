/** Samples of Prometheus' text format, by name and labels as they are written: `name{a="b"}`. */
export function parseExposition(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$/.exec(line);
    if (match && !line.startsWith('#')) samples.set(match[1] as string, Number(match[2]?.replace('Inf', 'Infinity')));
  }
  return samples;
}

/** The names in `# TYPE` lines. */
export function metricNames(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name as string);
}
