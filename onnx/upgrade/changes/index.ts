import type { Change } from '../change.js';
import { axesAsInput } from './axes.js';
import { oneOutput, withoutSpatial } from './batch-norm.js';
import { boundsAsInputs as clipBounds } from './clip.js';
import { withoutRatio } from './dropout.js';
import { padsAsInputs } from './pad.js';
import { noHalfPixelForNearest, oldCoordinates, scalesAsInput, upsampleToResize } from './resize.js';
import { withoutHalfPixel } from './roi-align.js';
import { boundsAsInputs as sliceBounds } from './slice.js';
import { flattenedAxes } from './softmax.js';
import { splitAsInput, splitCount } from './split.js';
import { kAsInput } from './top-k.js';

const refused =
  (why: string): Change =>
  (node, context) =>
    context.refuse(node, why);

const reduction = { 18: axesAsInput };

/** Operators of ai.onnx whose form or meaning changed, by the version that changed it (onnx/docs/Changelog.md). */
export const CHANGES: Readonly<Record<string, Readonly<Record<number, Change>>>> = {
  BatchNormalization: { 9: withoutSpatial, 14: oneOutput },
  Clip: { 11: clipBounds },
  Dropout: { 12: withoutRatio },
  Hardmax: { 13: flattenedAxes },
  LogSoftmax: { 13: flattenedAxes },
  MeanVarianceNormalization: { 9: refused('it had other attributes before opset 9') },
  Pad: { 11: padsAsInputs },
  ReduceL1: reduction,
  ReduceL2: reduction,
  ReduceLogSum: reduction,
  ReduceLogSumExp: reduction,
  ReduceMax: reduction,
  ReduceMean: reduction,
  ReduceMin: reduction,
  ReduceProd: reduction,
  ReduceSum: { 13: axesAsInput },
  ReduceSumSquare: reduction,
  Resize: { 11: oldCoordinates, 13: noHalfPixelForNearest },
  RoiAlign: { 16: withoutHalfPixel },
  Scan: { 9: refused('its loop was over a batch before opset 9') },
  Scatter: { 11: (node) => [{ ...node, opType: 'ScatterElements' }] },
  Slice: { 10: sliceBounds },
  Softmax: { 13: flattenedAxes },
  Split: { 13: splitAsInput, 18: splitCount },
  Squeeze: { 13: axesAsInput },
  TopK: { 10: kAsInput },
  Unsqueeze: { 13: axesAsInput },
  Upsample: { 9: scalesAsInput, 10: upsampleToResize },
};
