/** The largest difference, in steps of 8 bits over what the outputs are. */
export function stepsApart(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  const all = a.flatMap((values) => [...values]);
  const step = (Math.max(0, ...all) - Math.min(0, ...all)) / 255;
  return (
    Math.max(...a.flatMap((values, i) => [...values].map((value, j) => Math.abs(value - (b[i]?.[j] as number))))) / step
  );
}
