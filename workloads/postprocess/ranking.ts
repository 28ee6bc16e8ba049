/*
 * A prediction of several classes, the likeliest first, is a JSON list of their names; of one class it is the bare name.
 */

/** A prediction of these classes. */
export function rankingText(classes: readonly string[]): string {
  return classes.length === 1 ? (classes[0] as string) : JSON.stringify(classes);
}

/** The classes of a prediction, the likeliest first. */
export function rankedClasses(prediction: string): readonly string[] {
  if (!prediction.startsWith('["')) return [prediction];
  try {
    const classes: unknown = JSON.parse(prediction);
    if (Array.isArray(classes) && classes.every((name) => typeof name === 'string')) return classes;
  } catch {
    // A class whose name begins so.
  }
  return [prediction];
}
