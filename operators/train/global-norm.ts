/** The Euclidean norm over all gradients together; NaN or Infinity when one of their elements is. */
export function globalNorm(gradients: Iterable<Float32Array>): number {
  let sum = 0;
  for (const gradient of gradients) sum += squares(gradient);
  return Math.sqrt(sum);
}

/** Four sums side by side: one after the other would each wait for the one before. */
function squares(values: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const even = values.length & ~3;
  for (let i = 0; i < even; i += 4) {
    const [v0, v1, v2, v3] = [
      values[i] as number,
      values[i + 1] as number,
      values[i + 2] as number,
      values[i + 3] as number,
    ];
    a += v0 * v0;
    b += v1 * v1;
    c += v2 * v2;
    d += v3 * v3;
  }
  for (let i = even; i < values.length; i++) a += (values[i] as number) ** 2;
  return a + b + c + d;
}

/** What gradients of a norm are multiplied by, as PyTorch's `clip_grad_norm_` does it: 1 where the norm is below the limit. */
export function clipScale(norm: number, limit: number | undefined): number {
  return limit === undefined ? 1 : Math.min(1, limit / (norm + 1e-6));
}
