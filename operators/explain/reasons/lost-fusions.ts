import { attr } from '../../../onnx/attribute.js';
import type { Examined } from '../examined.js';
import type { NodeWork } from '../node-work.js';
import { type FindReason, formatMs, named, sumMs } from './reason.js';

/** Something that the runtime's optimisation makes of several nodes. */
interface Fusion {
  readonly name: string;
  /** Whether a node of an optimised graph is one. */
  isOne(work: NodeWork): boolean;
  /** Kernels that stand by themselves where it could not be made. */
  readonly pieces: readonly string[];
}

const NCHWC = 'com.microsoft.nchwc:Conv';
const CONVOLUTIONS = new Set([NCHWC, 'com.microsoft:FusedConv', 'com.microsoft:NhwcFusedConv']);
const ACTIVATIONS = [
  'Relu',
  'Clip',
  'LeakyRelu',
  'Sigmoid',
  'Tanh',
  'HardSigmoid',
  'HardSwish',
  'com.microsoft:QuickGelu',
];

const kernelIn = (...kernels: readonly string[]) => {
  const known = new Set(kernels);
  return ({ kernel }: NodeWork): boolean => known.has(kernel);
};

const FUSIONS: readonly Fusion[] = [
  {
    name: 'a convolution with its activation',
    isOne: ({ kernel, node }) =>
      CONVOLUTIONS.has(kernel) && node !== undefined && attr(node, 'activation') !== undefined,
    pieces: ACTIVATIONS,
  },
  {
    name: 'a convolution with the addition behind it',
    isOne: ({ kernel, node }) => CONVOLUTIONS.has(kernel) && (node?.inputs[3] ?? '') !== '',
    pieces: ['Add', 'com.microsoft:QLinearAdd'],
  },
  {
    name: 'the NCHWc layout of convolutions',
    isOne: kernelIn(NCHWC),
    pieces: ['Conv', 'com.microsoft:FusedConv'],
  },
  {
    name: 'layer normalisation',
    isOne: kernelIn(
      'LayerNormalization',
      'SimplifiedLayerNormalization',
      'com.microsoft:SkipLayerNormalization',
      'com.microsoft:EmbedLayerNormalization',
    ),
    pieces: ['ReduceMean', 'Sub', 'Pow', 'Sqrt', 'Div'],
  },
  {
    name: 'layer normalisation with the addition before it',
    isOne: kernelIn('com.microsoft:SkipLayerNormalization'),
    pieces: ['LayerNormalization'],
  },
  {
    name: 'GELU',
    isOne: kernelIn('Gelu', 'com.microsoft:Gelu', 'com.microsoft:FastGelu', 'com.microsoft:BiasGelu'),
    pieces: ['Erf', 'Tanh'],
  },
  {
    name: 'GELU with the bias before it',
    isOne: kernelIn('com.microsoft:BiasGelu', 'com.microsoft:FastGelu'),
    pieces: ['Gelu', 'com.microsoft:Gelu'],
  },
  {
    name: 'attention',
    isOne: kernelIn(
      'com.microsoft:Attention',
      'com.microsoft:MultiHeadAttention',
      'com.microsoft:QAttention',
      'Attention',
    ),
    pieces: [
      'Softmax',
      'Transpose',
      'Reshape',
      'MatMul',
      'com.microsoft:FusedMatMul',
      'com.microsoft:DynamicQuantizeMatMul',
    ],
  },
  {
    name: 'a product of matrices with its transposition or scale',
    isOne: kernelIn('com.microsoft:FusedMatMul'),
    pieces: ['Transpose', 'Mul', 'Div'],
  },
  {
    name: 'a product of matrices with its bias or activation',
    isOne: kernelIn('com.microsoft:FusedGemm', 'Gemm'),
    pieces: ['Add', ...ACTIVATIONS],
  },
];

/**
 * What the runtime fuses in the original and not in the variant: fewer of a fusion, and more of the nodes that it is
 * made of. Its time is what these take beyond what they take in the original.
 */
export const lostFusions: FindReason = ({ variant, original }) => {
  if (!original) return undefined;
  // A node is counted for the first fusion that it is a piece of.
  const told = new Set<NodeWork>();
  const found = FUSIONS.flatMap((fusion) => {
    const fewer = original.work.filter(fusion.isOne).length - variant.work.filter(fusion.isOne).length;
    const pieces = piecesOf(variant, fusion).filter((piece) => !told.has(piece));
    const before = piecesOf(original, fusion);
    const ms = sumMs(pieces) - sumMs(before);
    if (fewer <= 0 || pieces.length <= before.length || ms <= 0) return [];
    for (const piece of pieces) told.add(piece);
    return [{ ms, pieces, says: `${fewer} times ${fusion.name} (${formatMs(ms)})` }];
  });
  if (found.length === 0) return undefined;
  const ms = sumMs(found);
  return {
    reason: 'lost-fusions',
    ms,
    says: `The runtime fuses in the original what it does not fuse here: ${found.map(({ says }) => says).join('; ')}.`,
    nodes: named(found.flatMap(({ pieces }) => pieces)),
  };
};

function piecesOf({ work }: Examined, { pieces }: Fusion): readonly NodeWork[] {
  return work.filter(({ kernel }) => pieces.includes(kernel));
}
