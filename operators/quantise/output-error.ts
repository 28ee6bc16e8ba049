import type { NamedTensor, Tensor } from '../../onnx/tensor.js';
import { elementReader } from '../../workloads/elements.js';

/** The error of a model's outputs against those of another model, over any number of items. */
export class OutputError {
  readonly #sums = new Map<string, { error: number; power: number }>();

  /** Outputs of one item; those of other names are left out, and so are strings. */
  add(expected: readonly NamedTensor[], actual: readonly NamedTensor[]): void {
    for (const { name, tensor } of expected) {
      const other = actual.find((candidate) => candidate.name === name)?.tensor;
      if (!other || tensor.dtype === 'string' || other.dtype === 'string') continue;
      const sums = this.#sums.get(name) ?? { error: 0, power: 0 };
      this.#sums.set(name, sums);
      const [error, power] = squares(tensor, other);
      sums.error += error;
      sums.power += power;
    }
  }

  /**
   * The squared error as a share of the squared outputs expected, the mean over outputs: 0 is none, 1 as wrong as zeros
   * would be. It has no unit, so that outputs of any scale can be added.
   */
  value(): number {
    const shares = [...this.#sums.values()].map(({ error, power }) => (error === 0 ? 0 : error / (power || error)));
    return shares.length === 0 ? 0 : shares.reduce((a, b) => a + b, 0) / shares.length;
  }
}

/** Sums of the squared differences and of the squared values expected. Answers of another shape are all wrong. */
function squares(expected: Exclude<Tensor, { dtype: 'string' }>, actual: Exclude<Tensor, { dtype: 'string' }>) {
  const [a, b] = [elementReader(expected), elementReader(actual)];
  let error = 0;
  let power = 0;
  for (let i = 0; i < a.count; i++) {
    const value = a.at(i);
    if (!Number.isFinite(value)) continue;
    const difference = a.count === b.count ? value - b.at(i) : value;
    // An output that is no number is as wrong as it can be, and must not hide the others.
    error += Number.isFinite(difference) ? difference * difference : value * value;
    power += value * value;
  }
  return [error, power] as const;
}
