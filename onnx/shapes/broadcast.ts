import type { Dim } from '../model.js';
import { unknownDims } from './context.js';
import { broadcastDim } from './dims.js';

/** The shape that ONNX (NumPy) broadcasting gives; undefined when a rank is not known. */
export function broadcastShapes(shapes: readonly (readonly Dim[] | undefined)[]): readonly Dim[] | undefined {
  let result: readonly Dim[] = [];
  for (const shape of shapes) {
    if (!shape) return undefined;
    const rank = Math.max(result.length, shape.length);
    const dimAt = (s: readonly Dim[], axis: number): Dim => {
      const i = axis - (rank - s.length);
      return i < 0 ? 1 : s[i];
    };
    const left = result;
    result = unknownDims(rank).map((_, axis) => broadcastDim(dimAt(left, axis), dimAt(shape, axis)));
  }
  return result;
}
