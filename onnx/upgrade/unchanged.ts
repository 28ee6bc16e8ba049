/**
 * Operators of ai.onnx that mean at version 18 what they meant at version 7, or since they came: new versions of them took
 * more element types, negative axes, or attributes and inputs whose defaults are what was before (onnx/docs/Changelog.md).
 */
export const UNCHANGED: ReadonlySet<string> = new Set(
  [
    // Elementwise.
    'Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike',
    'Ceil Celu Cos Cosh CumSum Div Elu Equal Erf Exp Floor Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf',
    'IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink',
    'Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Tan Tanh ThresholdedRelu Where Xor',
    // Layers.
    'AveragePool Conv ConvInteger ConvTranspose DequantizeLinear Det DynamicQuantizeLinear Einsum GRU Gemm',
    'GlobalAveragePool GlobalLpPool GlobalMaxPool GroupNormalization InstanceNormalization LRN LSTM LayerNormalization',
    'LpNormalization LpPool MatMul MatMulInteger MaxPool MaxRoiPool MaxUnpool QLinearConv QLinearMatMul QuantizeLinear RNN',
    // Form and place of elements.
    'ArgMax ArgMin CenterCropPad Col2Im Compress Concat DepthToSpace Expand Flatten Gather GatherElements GatherND',
    'GridSample NonMaxSuppression NonZero OneHot Reshape ReverseSequence ScatterElements ScatterND Shape Size SpaceToDepth',
    'Tile Transpose Trilu Unique',
    // Constants and random numbers.
    'Bernoulli BlackmanWindow Constant ConstantOfShape EyeLike HammingWindow HannWindow MelWeightMatrix Multinomial',
    'RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range',
    // Signals, text, losses.
    'DFT STFT StringNormalizer TfIdfVectorizer NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss',
    // Control, sequences and optionals.
    'ConcatFromSequence If Loop Optional OptionalGetElement OptionalHasElement SequenceAt SequenceConstruct SequenceEmpty',
    'SequenceErase SequenceInsert SequenceLength SequenceMap SplitToSequence',
  ].flatMap((line) => line.split(' ')),
);
