import { TierbedError } from '../../base/errors.js';
import { describeChain, type EncodingChain, isCalibrated } from '../../onnx/encodings/chain.js';
import type { EncodedRange } from '../../onnx/encodings/encoding.js';
import { singles } from '../../onnx/encodings/floats.js';
import { int8 } from '../../onnx/encodings/int8.js';
import { encodeTensors, type LinkEncoding } from '../../onnx/encodings/link-encoding.js';
import { blocksOf, rangeOf, united } from '../../onnx/encodings/range.js';
import { byteLength, type NamedTensor } from '../../onnx/tensor.js';
import { preparedItems, type UnreadableItem } from '../../workloads/prepared.js';
import { Chain } from '../chain.js';
import type { OperatorContext } from '../operator.js';
import type { Facts, StageModel } from '../variant.js';

type Ranges = Record<string, EncodedRange>;

/**
 * Gives stages the encodings of what they pass on, with ranges from the calibration part where they want them.
 *
 * @param chains one a cut; undefined where the study's links decide
 * @returns the stages, and one entry of facts a cut
 * @throws TierbedError `invalid` when ranges are wanted and there is no item to find them on; `cancelled`
 */
export async function withEncodings(
  stages: readonly StageModel[],
  chains: readonly (EncodingChain | undefined)[],
  item: readonly NamedTensor[] | undefined,
  context: OperatorContext,
): Promise<{ readonly stages: readonly StageModel[]; readonly facts: readonly Facts[] }> {
  if (chains.every((chain) => chain === undefined)) return { stages, facts: chains.map(() => ({})) };
  const { ranges, items, unreadable } = await calibrated(stages, chains, context);
  const encodings = chains.map((chain, cut): LinkEncoding | undefined => {
    const known = ranges[cut];
    return chain && { chain, ...(known && Object.keys(known).length > 0 && { ranges: known }) };
  });
  const sizes = item ? await encodedBytes(stages, encodings, item, context.threads) : [];
  return {
    stages: stages.map((stage, i) => ({ ...stage, ...(encodings[i] && { encoding: encodings[i] }) })),
    facts: chains.map((chain, cut) => ({
      ...(chain && { encoding: describeChain(chain) }),
      ...(sizes[cut] !== undefined && { encodedBytes: sizes[cut] }),
      ...(chain && isCalibrated(chain) && { calibratedOn: items, ...(unreadable.length > 0 && { unreadable }) }),
    })),
  };
}

/** What the tensors of each cut take on the link, of one item; undefined where no encoding is given. */
async function encodedBytes(
  stages: readonly StageModel[],
  encodings: readonly (LinkEncoding | undefined)[],
  item: readonly NamedTensor[],
  threads: number,
): Promise<(number | undefined)[]> {
  const sizes: (number | undefined)[] = encodings.map(() => undefined);
  const chain = await Chain.open(stages, threads);
  try {
    await chain.run(item, (stage, outputs) => {
      const encoding = encodings[stage];
      if (!encoding) return;
      sizes[stage] = encodeTensors(outputs, encoding).reduce((sum, { tensor }) => sum + byteLength(tensor), 0);
    });
  } finally {
    await chain.close();
  }
  return sizes;
}

/** Runs the calibration part through the stages, as they are, and keeps the ranges of what crosses. */
async function calibrated(
  stages: readonly StageModel[],
  chains: readonly (EncodingChain | undefined)[],
  { workload, threads, progress, signal }: OperatorContext,
): Promise<{ ranges: readonly Ranges[]; items: number; unreadable: readonly UnreadableItem[] }> {
  const ranges = chains.map((): Ranges => ({}));
  const unreadable: UnreadableItem[] = [];
  if (!chains.some((chain) => chain && isCalibrated(chain))) return { ranges, items: 0, unreadable };
  let items = 0;
  const chain = await Chain.open(stages, threads);
  progress.start(`calibrating the encodings of ${workload.name}`, workload.calibration.length);
  try {
    for await (const { inputs } of preparedItems(workload, 'calibration', (one) => unreadable.push(one), signal)) {
      await chain.run(inputs, (stage, outputs) => {
        const axis = calibratedAxis(chains[stage]);
        if (axis !== 'none') widen(ranges[stage] as Ranges, outputs, axis);
      });
      progress.update(++items + unreadable.length);
    }
  } finally {
    progress.stop();
    await chain.close();
  }
  if (items > 0) return { ranges, items, unreadable };
  const why = unreadable.length > 0 ? `none of its ${unreadable.length} items can be read` : 'it is empty';
  throw new TierbedError('invalid', `ranges are to be calibrated on the calibration part of ${workload.name}: ${why}`, {
    fix: 'Give the workload a calibration part (`split:`), or leave the range to the run: {int8: {range: runtime}}.',
  });
}

/** The axis of a chain that wants ranges; undefined: it has none; 'none': no ranges are wanted. */
function calibratedAxis(chain: EncodingChain | undefined): number | undefined | 'none' {
  const step = chain?.find(({ options }) => options.range === 'calibrated');
  return step ? (step.options.axis as number | undefined) : 'none';
}

/** @throws TierbedError `invalid` when an item has another number of channels than those before it */
function widen(ranges: Ranges, outputs: readonly NamedTensor[], axis: number | undefined): void {
  for (const { name, tensor } of outputs) {
    if (tensor.dtype === 'string' || !int8.takes(tensor.dtype)) continue;
    const range = rangeOf(singles(tensor), blocksOf(tensor.shape, axis));
    const known = ranges[name];
    if (known && known.min.length !== range.min.length) {
      throw new TierbedError(
        'invalid',
        `${name} has ${range.min.length} channels along axis ${axis} here and had ${known.min.length} before`,
        {
          fix: 'Choose an axis whose size is the same for every item, or none.',
        },
      );
    }
    ranges[name] = known ? united(known, range) : range;
  }
}
