import { DATA_TYPE } from '../model.js';
import { axisOf, type Known, type NodeContext, type Rule, type Rules } from './context.js';

const same: Rule = (c) => [c.input(0)].map(({ dtype, shape }) => ({ dtype, shape }));

/** In training form the running statistics are outputs too, a number a channel. */
const batchNormalization: Rule = (c) => {
  const statistic = { dtype: c.dtype(3), shape: c.shape(3) };
  return [...same(c), ...c.node.outputs.slice(1).map(() => statistic)];
};

/** Mean and inverse deviation keep the shape, with 1 for every axis that is normalised. */
function statistics(c: NodeContext, axis: number): Known {
  const shape = c.shape(0);
  const from = shape && axisOf(axis, shape.length);
  return {
    dtype: c.int('stash_type', DATA_TYPE.float32),
    shape: from === undefined ? undefined : shape?.map((dim, i) => (i < from ? dim : 1)),
  };
}

const layerNormalization: Rule = (c) => {
  const statistic = statistics(c, c.int('axis', -1));
  return [...same(c), statistic, statistic];
};

/** Embeddings of [batch, sequence] ids: [batch, sequence, hidden], and a mask index a batch row. */
const embedLayerNormalization: Rule = (c) => {
  const ids = c.shape(0);
  const hidden = c.shape(2)?.at(-1);
  return [
    { dtype: c.dtype(2), shape: ids && [...ids, hidden] },
    { dtype: DATA_TYPE.int32, shape: ids && [ids[0]] },
  ];
};

/** Normalisations: the shape stays. */
export const normalizationRules: Rules = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: same,
  GroupNormalization: same,
  RMSNormalization: same,
  SimplifiedLayerNormalization: same,
  LayerNormalization: layerNormalization,
  'com.microsoft:SkipLayerNormalization': same,
  'com.microsoft:SkipSimplifiedLayerNormalization': same,
  'com.microsoft:EmbedLayerNormalization': embedLayerNormalization,
};
