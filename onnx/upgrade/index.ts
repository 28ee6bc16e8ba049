import { TierbedError } from '../../base/errors.js';
import { irVersionOf } from '../build.js';
import { inferValues } from '../infer.js';
import type { FunctionProto, Model, OpsetId } from '../model.js';
import { takeWeightsOffInputs } from '../passes/constant-inputs.js';
import { FreshNames } from '../passes/names.js';
import { isOnnxDomain, onnxVersion } from '../passes/walk.js';
import { Upgrade } from './upgrade.js';

/** The oldest version of ai.onnx that is upgraded: ONNX Runtime promises to run models from here on. */
const OLDEST = 7;
/** The newest version whose changes are known. */
const NEWEST = 18;

export interface UpgradeFacts {
  /** Version of ai.onnx that the model had. */
  readonly from: number;
  /** Version that it has now. */
  readonly to: number;
  /** How many nodes were written in another form, by operator. */
  readonly changed: Readonly<Record<string, number>>;
}

/**
 * Writes a model for a newer version of ai.onnx. It computes what it computed; where an operator's form changed, a node is
 * written in the new one. A model that is as new already stays as it is; operators of other domains do too.
 *
 * A model of IR version 3 becomes one of the version that belongs to the target, and its weights are no inputs any more.
 *
 * @param target version of ai.onnx, 8 to 18
 * @throws TierbedError `invalid` that names the node, for an operator whose changes are not known, or that does what newer
 *   versions cannot say; for models older than version 7; and for a target that is not known
 */
export async function upgradeOpset(model: Model, target: number): Promise<{ model: Model; facts: UpgradeFacts }> {
  const from = onnxVersion(model);
  if (!model.opsetImport.some(({ domain }) => isOnnxDomain(domain)) || from >= target) {
    return { model, facts: { from, to: from, changed: {} } };
  }
  checkVersions(from, target);
  const current = model.irVersion < 4 ? takeWeightsOffInputs(model) : model;
  // What rules say suffices: types are needed where older forms left them to the data.
  const values = await inferValues(current, { probe: false });
  const upgrade = new Upgrade(model, values, new FreshNames(model), target);
  const upgraded: Model = {
    ...current,
    irVersion: Math.max(model.irVersion, irVersionOf(target)),
    opsetImport: withVersion(model.opsetImport, target),
    graph: upgrade.graph(current.graph, from),
    functions: model.functions.map((f) => upgradeFunction(f, upgrade, target)),
  };
  return { model: upgraded, facts: { from, to: target, changed: Object.fromEntries(upgrade.changed) } };
}

function checkVersions(from: number, target: number): void {
  if (!Number.isInteger(target) || target > NEWEST) {
    throw new TierbedError('invalid', `models are not upgraded to opset ${target}`, {
      fix: `choose one up to ${NEWEST}`,
    });
  }
  if (from < OLDEST) {
    throw new TierbedError('invalid', `the model is of opset ${from}; upgraded are models from ${OLDEST} on`, {
      fix: `export it for opset ${OLDEST} or newer`,
    });
  }
}

/** A function imports operators of its own; the runtime asks that they are the model's. */
function upgradeFunction(f: FunctionProto, upgrade: Upgrade, target: number): FunctionProto {
  const from = onnxVersion(f);
  if (!f.opsetImport.some(({ domain }) => isOnnxDomain(domain)) || from >= target) return f;
  return { ...f, opsetImport: withVersion(f.opsetImport, target), nodes: upgrade.functionBody(f, from) };
}

function withVersion(imports: readonly OpsetId[], version: number): OpsetId[] {
  return imports.map((opset) => (isOnnxDomain(opset.domain) ? { ...opset, version } : opset));
}
