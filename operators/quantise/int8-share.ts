import {
  type KernelTime,
  kernelTimes,
  type NodeTime,
  type ProfileOptions,
  profileModel,
} from '../../onnx/runtime/profile.js';
import type { NamedTensor } from '../../onnx/tensor.js';

/** How a node computes: on 8-bit integers, from or to them, or neither. */
export type Precision = 'int8' | 'conversion' | 'float';

/** What share of a model's compute runs on 8-bit integers, as measured. */
export interface Int8Share {
  /** Time in int8 kernels, of all nodes' time: 0 to 1; 0 for a model whose nodes take no measurable time. */
  readonly share: number;
  readonly int8Ms: number;
  /** Time in kernels that quantise and dequantise. */
  readonly conversionMs: number;
  /** Time in all other kernels. */
  readonly floatMs: number;
  /** Every kernel type, the slowest first. */
  readonly byKernel: readonly (KernelTime & { readonly precision: Precision })[];
}

/** Kernels that multiply and add 8-bit integers, whatever type they give. Names without domain. */
const INT8_KERNELS = new Set([
  'QLinearConv',
  'QLinearMatMul',
  'QGemm',
  'MatMulInteger',
  'ConvInteger',
  'MatMulIntegerToFloat',
  'DynamicQuantizeMatMul',
  'DynamicQuantizeLSTM',
  'QAttention',
  'QLinearAdd',
  'QLinearMul',
  'QLinearConcat',
  'QLinearAveragePool',
  'QLinearGlobalAveragePool',
  'QLinearLeakyRelu',
  'QLinearReduceMean',
  'QLinearSigmoid',
  'QLinearSoftmax',
  'QLinearWhere',
  'QEmbedLayerNormalization',
  'NhwcMaxPool',
]);

const CONVERSIONS = new Set(['QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear']);

/** How a node computed, by its kernel and by the types it read and wrote. */
export function precisionOf({ kernel, reads, writes }: NodeTime): Precision {
  const name = kernel.slice(kernel.lastIndexOf(':') + 1);
  if (CONVERSIONS.has(name)) return 'conversion';
  if (INT8_KERNELS.has(name)) return 'int8';
  // Pools, reshapes and the like that work on quantised tensors have no names of their own.
  const isInt8 = (tensor: { readonly type: string } | undefined): boolean =>
    tensor !== undefined && (tensor.type === 'int8' || tensor.type === 'uint8');
  return isInt8(reads[0]) && isInt8(writes[0]) ? 'int8' : 'float';
}

/**
 * Runs a model and gives the share of its compute time that was spent in int8 kernels.
 *
 * @param inputs one item's inputs; made up when not given
 * @throws TierbedError as `profileModel`
 */
export async function int8Share(
  modelPath: string,
  inputs?: readonly NamedTensor[],
  options: Omit<ProfileOptions, 'inputs'> = {},
): Promise<Int8Share> {
  const { nodes } = await profileModel(modelPath, { ...options, ...(inputs && { inputs: [inputs] }) });
  return shareOf(nodes);
}

/** The same of nodes that were measured already. */
export function shareOf(nodes: readonly NodeTime[]): Int8Share {
  const of = (precision: Precision): readonly NodeTime[] => nodes.filter((node) => precisionOf(node) === precision);
  const sum = (times: readonly NodeTime[]): number => times.reduce((total, { ms }) => total + ms, 0);
  const kinds: readonly Precision[] = ['int8', 'conversion', 'float'];
  const byKernel = kinds
    .flatMap((precision) => kernelTimes(of(precision)).map((kernel) => ({ ...kernel, precision })))
    .sort((a, b) => b.ms - a.ms);
  const [int8Ms, conversionMs, floatMs] = kinds.map((precision) => sum(of(precision))) as [number, number, number];
  const all = int8Ms + conversionMs + floatMs;
  return { share: all > 0 ? int8Ms / all : 0, int8Ms, conversionMs, floatMs, byKernel };
}
