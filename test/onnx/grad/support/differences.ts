import assert from 'node:assert/strict';
import { Random } from '../../../../base/random.js';
import { type DenseTensor, float32Tensor, float32Values } from '../../../../onnx/tensor.js';

export type Feeds = Readonly<Record<string, DenseTensor>>;

export interface DifferenceOptions {
  /** Half the width of the wider difference; 1/32 unless told. Kinks must be further away. */
  readonly step?: number;
  /** In parts of the tensor's largest gradient, and of 1 where all are smaller; 2e-3 unless told. */
  readonly tolerance?: number;
  /** Elements of each tensor that are tried, picked at random where there are more; 40 unless told. */
  readonly elements?: number;
  readonly seed?: number;
}

/**
 * Checks gradients against central differences of two widths, extrapolated to none (Richardson): what is left is the
 * rounding of float32.
 *
 * @param loss worked out in double precision from what a run gives, where it can be
 * @param gradients by the name of a float32 tensor of the feeds
 */
export async function assertDifferences(
  loss: (feeds: Feeds) => Promise<number>,
  feeds: Feeds,
  gradients: ReadonlyMap<string, Float32Array>,
  options: DifferenceOptions = {},
): Promise<void> {
  const { step = 1 / 32, tolerance = 2e-3, elements = 40, seed = 1 } = options;
  for (const [name, gradient] of gradients) {
    const tensor = feeds[name];
    assert.ok(tensor, `no tensor ${name} is fed`);
    const values = float32Values(tensor);
    assert.equal(gradient.length, values.length, `the gradient by ${name} has the size of ${name}`);
    const slope = async (i: number, h: number): Promise<number> => {
      const at = async (value: number): Promise<number> => {
        const moved = values.slice();
        moved[i] = value;
        return loss({ ...feeds, [name]: float32Tensor(tensor.shape, moved) });
      };
      // The step that float32 can take is not quite the one that was asked for.
      const [above, below] = [Math.fround((values[i] as number) + h), Math.fround((values[i] as number) - h)];
      return ((await at(above)) - (await at(below))) / (above - below);
    };
    const scale = Math.max(1, ...gradient.map(Math.abs));
    const order = new Random(seed).fork(name).shuffle(Array.from(values.keys()));
    for (const i of order.slice(0, elements)) {
      const [wide, narrow] = [await slope(i, step), await slope(i, step / 2)];
      const expected = (4 * narrow - wide) / 3;
      const actual = gradient[i] as number;
      assert.ok(
        Math.abs(actual - expected) <= tolerance * scale,
        `element ${i} of the gradient by ${name}: ${actual}, by differences ${expected} (${wide}, ${narrow})`,
      );
    }
  }
}
