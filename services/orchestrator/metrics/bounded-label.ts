/** What a label says of every value beyond its bound. */
export const OTHER = 'other';

/** Values of a label: the first `limit` of them as they are, then `other`, so that no study can make series without end. */
export class BoundedLabel {
  readonly #limit: number;
  readonly #values = new Set<string>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  of(value: string): string {
    if (this.#values.has(value)) return value;
    if (this.#values.size >= this.#limit) return OTHER;
    this.#values.add(value);
    return value;
  }

  /** Forgets what it has seen. */
  clear(): void {
    this.#values.clear();
  }
}
