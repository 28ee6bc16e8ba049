import { DATA_TYPE } from '../model.js';
import { broadcastShapes } from './broadcast.js';
import type { Known, Rule, Rules } from './context.js';
import { concatenated } from './layout.js';

const quantize: Rule = (c) => {
  const named = c.int('output_dtype', 0);
  return [{ dtype: c.has(2) ? c.dtype(2) : named || DATA_TYPE.uint8, shape: c.shape(0) }];
};

/** The result has the scale's type unless `output_dtype` names another. */
const dequantize: Rule = (c) => [{ dtype: c.int('output_dtype', 0) || c.dtype(1), shape: c.shape(0) }];

const dynamicQuantize: Rule = (c) => [
  { dtype: DATA_TYPE.uint8, shape: c.shape(0) },
  { dtype: DATA_TYPE.float32, shape: [] },
  { dtype: DATA_TYPE.uint8, shape: [] },
];

/** Inputs are (value, scale, zero point) twice, then the result's scale and zero point. */
const quantizedBinary: Rule = (c) => [{ dtype: c.dtype(0), shape: broadcastShapes([c.shape(0), c.shape(3)]) }];

/** Inputs are the result's scale and zero point, then (value, scale, zero point) as often as it takes. */
const quantizedConcat: Rule = (c) => {
  const parts: Known[] = [];
  for (let i = 2; i < c.inputCount; i += 3) parts.push({ dtype: c.dtype(i), shape: c.shape(i) });
  return [concatenated(parts, c.int('axis', 0))];
};

/** Operators between real and quantised numbers. */
export const quantizationRules: Rules = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamicQuantize,
  'com.microsoft:QuantizeLinear': quantize,
  'com.microsoft:DequantizeLinear': dequantize,
  'com.microsoft:QLinearAdd': quantizedBinary,
  'com.microsoft:QLinearMul': quantizedBinary,
  'com.microsoft:QLinearConcat': quantizedConcat,
};
