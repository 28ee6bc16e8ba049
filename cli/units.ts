/** A count for people: `126.89 M`. */
export function formatCount(count: number): string {
  return scaled(count, ['', ' k', ' M', ' G', ' T']);
}

/** A size for people, in decimal units: `401.4 kB`. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, [' B', ' kB', ' MB', ' GB', ' TB']);
}

function scaled(value: number, units: readonly string[]): string {
  let step = 0;
  let rest = value;
  while (rest >= 1000 && step < units.length - 1) {
    rest /= 1000;
    step++;
  }
  return `${step === 0 ? value : rest.toFixed(rest >= 100 ? 1 : 2)}${units[step]}`;
}
