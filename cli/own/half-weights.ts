import { float16ToFloat32, float32ToFloat16 } from '../../onnx/half.js';
import { initializerBytes, initializerElements } from '../../onnx/initializer.js';
import { DATA_TYPE, type Initializer, type Model } from '../../onnx/model.js';

/** Of fewer elements a tensor stays as it is: biases, scales and running statistics take no room. */
const LEAST = 512;

/**
 * A model whose large float32 weights are numbers that float16 has, still stored as float32: half of their bits are 0,
 * and take no room once the file is packed. A quantised model, whose weights are integers, stays as it is.
 */
export function withHalfWeights(model: Model): Model {
  const { graph } = model;
  if (graph.nodes.some(({ opType }) => opType === 'DequantizeLinear')) return model;
  return { ...model, graph: { ...graph, initializers: graph.initializers.map(halved) } };
}

function halved(initializer: Initializer): Initializer {
  if (initializer.dataType !== DATA_TYPE.float32 || initializerElements(initializer) < LEAST) return initializer;
  // A copy: bytes that were read from a file may lie anywhere in their buffer.
  const bytes = new Uint8Array(initializerBytes(initializer));
  const values = new Float32Array(bytes.buffer, 0, bytes.byteLength / 4);
  const half = float16ToFloat32(float32ToFloat16(values));
  return { ...initializer, data: { kind: 'raw', bytes: new Uint8Array(half.buffer) } };
}
