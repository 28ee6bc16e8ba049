import type { Model } from '../../onnx/model.js';
import { PASSES_BEFORE_INT8, type PrepareFacts, prepareModel } from '../../onnx/passes/index.js';
import { onnxVersion } from '../../onnx/passes/walk.js';
import { type UpgradeFacts, upgradeOpset } from '../../onnx/upgrade/index.js';
import { refuseQuantised } from './graph/refuse-quantised.js';

/** Scales by channel, and int8 kernels of most types of nodes, came with this version of ai.onnx. */
const LEAST_OPSET = 13;

/** What models for older versions are written for. */
const TARGET_OPSET = 17;

/** What was done to a model before it was quantised. */
export interface PreparationFacts extends PrepareFacts {
  /** Where the model was for a version of ai.onnx that is too old. */
  readonly upgrade?: UpgradeFacts;
}

/**
 * A float model ready to be quantised: of a version that can be, its constants worked out and its normalisations folded.
 *
 * @param name the variant's, for messages
 * @throws TierbedError `invalid` when it is quantised already, or as `upgradeOpset`; as `prepareModel`
 */
export async function preparedFloat(
  model: Model,
  name: string,
): Promise<{ readonly model: Model; readonly facts: PreparationFacts }> {
  refuseQuantised(model, name);
  if (onnxVersion(model) >= LEAST_OPSET) return prepareModel(model, PASSES_BEFORE_INT8);
  const upgraded = await upgradeOpset(model, TARGET_OPSET);
  const prepared = await prepareModel(upgraded.model, PASSES_BEFORE_INT8);
  return { model: prepared.model, facts: { ...prepared.facts, upgrade: upgraded.facts } };
}
