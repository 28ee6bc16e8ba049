import type { Value } from '../../onnx/build.js';
import { linear as headLinear } from './layers.js';
import { leCunRange, type Network, NetworkBuilder, ONES, type Start, type Weights, ZEROS } from './network.js';

/** A BERT or RoBERTa with a sequence classification head; the names are Hugging Face Transformers'. */
export interface BertConfig {
  readonly name: string;
  /** `bert` has segment ids and a pooler; `roberta` counts positions from its padding and has a two-layer head. */
  readonly family: 'bert' | 'roberta';
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  readonly positions: number;
  readonly segments: number;
  readonly labels: number;
  readonly layerNormEpsilon: number;
  /** The id of the padding token: RoBERTa gives it, and only it, this position. */
  readonly padding: number;
}

/** BERT's own width, for which its deviation of 0.02 was chosen. */
const BERT_WIDTH = 768;

/** As BERT begins: a normal distribution cut off at two deviations, biases 0. */
const NORMAL: Start = { kind: 'normal', deviation: 0.02, truncated: true };

/**
 * A matrix that sums fewer inputs than BERT's begins with larger weights, so that its outputs are as large as BERT's:
 * with 0.02 a network 64 wide hands hardly a thousandth of a word on to the first token, and learns no words for long.
 */
const matrixStart = (inputs: number): Start => ({
  ...{ kind: 'normal', truncated: true },
  deviation: 0.02 * Math.sqrt(Math.max(1, BERT_WIDTH / inputs)),
});

const headStart = (inputs: number) => ({ weight: matrixStart(inputs), bias: ZEROS });

/** What masked positions get added to their score: the lowest float32, as Transformers has it. */
const LOWEST = -3.4028234663852886e38;

/**
 * Builds BertForSequenceClassification (Devlin et al., NAACL 2019, arXiv:1810.04805) or
 * RobertaForSequenceClassification (Liu et al., 2019, arXiv:1907.11692) as Hugging Face Transformers has them, without
 * dropout. Weights have the names of their `state_dict`; those of linear layers are stored transposed, `[in, out]`,
 * except the head's. The embeddings' output is the tensor `embeddings` and a layer's `encoder.layer.3`; `attention_bias`
 * float32 [N, 1, 1, sequence] is 0 where a token counts and the lowest float32 where it is padding.
 *
 * Inputs `input_ids`, `attention_mask` and, for BERT, `token_type_ids`, int64 [N, sequence]; output `logits` float32
 * [N, labels].
 */
export function buildBert(config: BertConfig, weights: Weights): Network {
  const net = new NetworkBuilder(config.name, weights);
  const { graph: g } = net;
  const ids = g.input('input_ids', 'int64', ['N', 'sequence']);
  const mask = g.input('attention_mask', 'int64', ['N', 'sequence']);
  const bias = attentionBias(net, mask);
  let x = config.family === 'bert' ? bertEmbeddings(net, ids, config) : robertaEmbeddings(net, ids, config);
  for (let i = 0; i < config.layers; i++) x = encoderLayer(net, x, bias, i, config);
  const first = g.node('Gather', [x, g.int64(0)], { axis: 1 }, 'first_token');
  const logits = config.family === 'bert' ? bertHead(net, first, config) : robertaHead(net, first, config);
  g.output(logits, 'float32', ['N', config.labels]);
  return net.build();
}

/** The tensors at which the network can be cut in two: behind the embeddings and behind each layer but the last. */
export function bertCuts(config: BertConfig): string[][] {
  const behindLayers = Array.from({ length: config.layers - 1 }, (_, i) => [`encoder.layer.${i}`, 'attention_bias']);
  return [['embeddings', 'attention_bias'], ...behindLayers, [`encoder.layer.${config.layers - 1}`]];
}

function attentionBias(net: NetworkBuilder, mask: Value): Value {
  const { graph: g } = net;
  const wide = g.node('Unsqueeze', [mask, g.int64([1, 2])], {}, 'attention_mask.unsqueeze');
  const float = g.node('Cast', [wide], { to: 1 }, 'attention_mask.cast');
  const masked = g.node('Sub', [g.float32(1), float], {}, 'attention_mask.inverted');
  return g.node('Mul', [masked, g.float32(LOWEST)], {}, 'attention_bias');
}

function bertEmbeddings(net: NetworkBuilder, ids: Value, config: BertConfig): Value {
  const { graph: g } = net;
  const segmentIds = g.input('token_type_ids', 'int64', ['N', 'sequence']);
  const words = g.node('Gather', [embedding(net, config, 'word', config.vocabulary), ids], {}, 'embeddings.word');
  const segmentTable = embedding(net, config, 'token_type', config.segments);
  const segments = g.node('Gather', [segmentTable, segmentIds], {}, 'embeddings.token_type');
  const length = g.node('Shape', [ids], { start: 1, end: 2 }, 'sequence_length');
  const positionTable = embedding(net, config, 'position', config.positions);
  const positions = g.node('Slice', [positionTable, g.int64([0]), length, g.int64([0])], {}, 'embeddings.position');
  return embeddingSum(net, words, segments, positions, config);
}

function robertaEmbeddings(net: NetworkBuilder, ids: Value, config: BertConfig): Value {
  const { graph: g } = net;
  const words = g.node('Gather', [embedding(net, config, 'word', config.vocabulary), ids], {}, 'embeddings.word');
  // RoBERTa has one segment: its row is added to every token.
  const segments = embedding(net, config, 'token_type', config.segments);
  const padded = g.node('Equal', [ids, g.int64(config.padding)], {}, 'position_ids.is_padding');
  const real = g.node('Cast', [g.node('Not', [padded], {}, 'position_ids.is_token')], { to: 7 }, 'position_ids.token');
  const count = g.node('CumSum', [real, g.int64(1)], {}, 'position_ids.count');
  const offset = g.node('Mul', [count, real], {}, 'position_ids.offset');
  const positionIds = g.node('Add', [offset, g.int64(config.padding)], {}, 'position_ids');
  const positionTable = embedding(net, config, 'position', config.positions);
  const positions = g.node('Gather', [positionTable, positionIds], {}, 'embeddings.position');
  return embeddingSum(net, words, segments, positions, config);
}

function embeddingSum(net: NetworkBuilder, words: Value, segments: Value, positions: Value, config: BertConfig): Value {
  const { graph: g } = net;
  const typed = g.node('Add', [words, segments], {}, 'embeddings.typed');
  const sum = g.node('Add', [typed, positions], {}, 'embeddings.sum');
  return layerNorm(net, sum, `${config.family}.embeddings.LayerNorm`, 'embeddings', config);
}

/** Scaled dot-product attention over all heads, then the feed-forward part, each followed by addition and LayerNorm. */
function encoderLayer(net: NetworkBuilder, x: Value, bias: Value, index: number, config: BertConfig): Value {
  const { graph: g } = net;
  const { hidden, heads, intermediate } = config;
  const path = `encoder.layer.${index}`;
  const project = (from: Value, module: string, inputs: number, outputs: number) =>
    linear(net, from, `${config.family}.${path}.${module}`, `${path}.${module}`, inputs, outputs);
  const norm = (from: Value, module: string, output: string) =>
    layerNorm(net, from, `${config.family}.${path}.${module}`, output, config);
  const self = `${path}.attention.self`;
  const split = (what: 'query' | 'key' | 'value', perm: readonly number[]) => {
    const projected = project(x, `attention.self.${what}`, hidden, hidden);
    const shape = g.int64([0, 0, heads, hidden / heads]);
    const perHead = g.node('Reshape', [projected, shape], {}, `${self}.${what}.heads`);
    return g.node('Transpose', [perHead], { perm }, `${self}.${what}.transposed`);
  };

  const query = split('query', [0, 2, 1, 3]);
  const key = split('key', [0, 2, 3, 1]);
  const value = split('value', [0, 2, 1, 3]);
  const product = g.node('MatMul', [query, key], {}, `${self}.product`);
  const scaled = g.node('Div', [product, g.float32(Math.sqrt(hidden / heads))], {}, `${self}.scaled`);
  const scores = g.node('Add', [scaled, bias], {}, `${self}.scores`);
  const shares = g.node('Softmax', [scores], { axis: -1 }, `${self}.shares`);
  const context = g.node('MatMul', [shares, value], {}, `${self}.context`);
  const byToken = g.node('Transpose', [context], { perm: [0, 2, 1, 3] }, `${self}.context.transposed`);
  const joined = g.node('Reshape', [byToken, g.int64([0, 0, hidden])], {}, self);
  const attended = project(joined, 'attention.output.dense', hidden, hidden);
  const afterAttention = g.node('Add', [attended, x], {}, `${path}.attention.output.add`);
  const attention = norm(afterAttention, 'attention.output.LayerNorm', `${path}.attention`);

  const inner = gelu(net, project(attention, 'intermediate.dense', hidden, intermediate), `${path}.intermediate`);
  const outer = project(inner, 'output.dense', intermediate, hidden);
  return norm(g.node('Add', [outer, attention], {}, `${path}.output.add`), 'output.LayerNorm', path);
}

function bertHead(net: NetworkBuilder, first: Value, config: BertConfig): Value {
  const { hidden, labels } = config;
  const pooler = { path: 'bert.pooler.dense', output: 'pooler.dense', inputs: hidden, outputs: hidden };
  const dense = headLinear(net, first, pooler, headStart(hidden));
  const pooled = net.graph.node('Tanh', [dense], {}, 'pooler');
  return headLinear(
    net,
    pooled,
    { path: 'classifier', output: 'logits', inputs: hidden, outputs: labels },
    headStart(hidden),
  );
}

function robertaHead(net: NetworkBuilder, first: Value, config: BertConfig): Value {
  const { hidden, labels } = config;
  const inner = { path: 'classifier.dense', output: 'classifier.dense', inputs: hidden, outputs: hidden };
  const dense = headLinear(net, first, inner, headStart(hidden));
  const pooled = net.graph.node('Tanh', [dense], {}, 'classifier.tanh');
  return headLinear(
    net,
    pooled,
    { path: 'classifier.out_proj', output: 'logits', inputs: hidden, outputs: labels },
    headStart(hidden),
  );
}

function embedding(net: NetworkBuilder, config: BertConfig, what: string, rows: number): Value {
  const name = `${config.family}.embeddings.${what}_embeddings.weight`;
  return net.weight(name, [rows, config.hidden], { range: [-1, 1], start: NORMAL });
}

function layerNorm(net: NetworkBuilder, x: Value, weightPath: string, output: string, config: BertConfig): Value {
  const scale = net.weight(`${weightPath}.weight`, [config.hidden], { range: [0.8, 1.2], start: ONES });
  const shift = net.weight(`${weightPath}.bias`, [config.hidden], { range: [-0.1, 0.1], start: ZEROS });
  return net.graph.node(
    'LayerNormalization',
    [x, scale, shift],
    { axis: -1, epsilon: config.layerNormEpsilon },
    output,
  );
}

/** torch.nn.Linear over the last axis of a [N, sequence, inputs] tensor. */
function linear(
  net: NetworkBuilder,
  x: Value,
  weightPath: string,
  output: string,
  inputs: number,
  outputs: number,
): Value {
  const { graph: g } = net;
  const w = net.weight(`${weightPath}.weight`, [outputs, inputs], {
    ...{ range: leCunRange(inputs), start: matrixStart(inputs), transposed: true },
  });
  const b = net.weight(`${weightPath}.bias`, [outputs], { range: [-0.05, 0.05], start: ZEROS });
  return g.node('Add', [g.node('MatMul', [x, w], {}, `${output}.matmul`), b], {}, output);
}

/** The exact GELU, x * (1 + erf(x / sqrt 2)) / 2, in the form that ONNX Runtime fuses into one kernel. */
function gelu(net: NetworkBuilder, x: Value, output: string): Value {
  const { graph: g } = net;
  const scaled = g.node('Div', [x, g.float32(Math.SQRT2)], {}, `${output}.gelu.scaled`);
  const erf = g.node('Erf', [scaled], {}, `${output}.gelu.erf`);
  const shifted = g.node('Add', [erf, g.float32(1)], {}, `${output}.gelu.shifted`);
  const product = g.node('Mul', [x, shifted], {}, `${output}.gelu.product`);
  return g.node('Mul', [product, g.float32(0.5)], {}, output);
}
