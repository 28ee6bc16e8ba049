import { TierbedError } from '../../base/errors.js';
import { Random } from '../../base/random.js';
import { openSafetensors, readFloat32, type SafetensorsFile } from '../../onnx/safetensors.js';
import { elementCount } from '../../onnx/tensor.js';
import type { Parameter, Weights } from './network.js';

/** Random weights: each parameter has its own stream, drawn from the seed and its name. */
export function randomWeights(seed: number): Weights {
  const root = new Random(seed);
  return ({ name, shape, range: [low, high] }) => {
    return () => root.fork(name).fillUniform(new Float32Array(elementCount(shape)), low, high);
  };
}

/** For a network whose structure alone is looked at. @throws TierbedError `internal` when elements are asked for */
export const noWeights: Weights = ({ name }) => {
  return () => {
    throw new TierbedError('internal', `${name}: this network was built without weights`);
  };
};

/**
 * Weights from a `.safetensors` file with the tensor names of torchvision, timm or Hugging Face Transformers, in the
 * variants that are about: under `module.` or `model.`, with or without the base model's `bert.` or `roberta.`, and
 * LayerNorm's old `gamma` and `beta`.
 *
 * @param parameters all that the network has, so that what is missing, left over or of another shape is found at once
 * @throws TierbedError `missing` when the file cannot be read, `invalid` when it is damaged or does not fit, with every
 *   tensor at fault by name
 */
export function safetensorsWeights(path: string, parameters: readonly Parameter[]): Weights {
  const file = openSafetensors(path);
  const found = matchNames(file, parameters);
  return ({ name }) => {
    return () => readFloat32(file, found.get(name) as string);
  };
}

/** Tensors that checkpoints carry and inference does not need. */
const IGNORED = [/\.num_batches_tracked$/, /(^|\.)embeddings\.position_ids$/, /^roberta\.pooler\./, /^pooler\.dense\./];

/** The file's tensor for each parameter. */
function matchNames(file: SafetensorsFile, parameters: readonly Parameter[]): Map<string, string> {
  const wanted = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  const prefixes = ['', ...new Set([...wanted.keys()].flatMap((name) => /^(bert|roberta)\./.exec(name)?.[0] ?? []))];
  const found = new Map<string, string>();
  const problems: string[] = [];
  for (const entry of file.tensors.values()) {
    const name = candidates(entry.name, prefixes).find((candidate) => wanted.has(candidate));
    const parameter = name === undefined ? undefined : wanted.get(name);
    if (!parameter) {
      if (!IGNORED.some((pattern) => pattern.test(entry.name))) problems.push(`unexpected: ${entry.name}`);
    } else if (found.has(parameter.name)) {
      problems.push(`twice: ${parameter.name}, as ${found.get(parameter.name)} and as ${entry.name}`);
    } else if (entry.shape.join() !== parameter.shape.join()) {
      problems.push(`shape of ${entry.name}: [${entry.shape.join(', ')}], not [${parameter.shape.join(', ')}]`);
      found.set(parameter.name, entry.name);
    } else if (!/^(F32|F16|BF16|F64)$/.test(entry.dtype)) {
      problems.push(`type of ${entry.name}: ${entry.dtype}, not F32, F16, BF16 or F64`);
      found.set(parameter.name, entry.name);
    } else {
      found.set(parameter.name, entry.name);
    }
  }
  for (const name of wanted.keys()) if (!found.has(name)) problems.push(`missing: ${name}`);
  if (problems.length > 0) {
    throw new TierbedError('invalid', `${file.path} does not fit this network:\n  ${problems.join('\n  ')}`, {
      fix: 'Give the weights of this very architecture, with its classification head.',
    });
  }
  return found;
}

/** What a checkpoint's tensor may be called in the network, most literal first. */
function candidates(name: string, prefixes: readonly string[]): string[] {
  const bare = name.replace(/^(module\.|model\.)+/, '');
  const modern = bare.replace(/LayerNorm\.gamma$/, 'LayerNorm.weight').replace(/LayerNorm\.beta$/, 'LayerNorm.bias');
  return [name, ...prefixes.map((prefix) => prefix + modern)];
}
