import { problemOf, showPath } from '../../base/checked-yaml.js';
import { TierbedError } from '../../base/errors.js';
import { givenInputs } from '../../onnx/inspect.js';
import { DATA_TYPE, type Model, type ValueInfo } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import { architecture } from '../../workloads/zoo/architectures.js';
import { freshWeights } from '../../workloads/zoo/fresh-weights.js';
import type { NetworkOptions } from '../../workloads/zoo/options.js';
import { noWeights, safetensorsWeights } from '../../workloads/zoo/weights.js';
import { tableRows } from './match.js';
import type { Student, ZooStudent } from './options.js';
import { renamedValues } from './rename.js';

/** A student before it is taught. */
export interface BuiltStudent {
  readonly model: Model;
  /** What it is called in messages and in the manifest. */
  readonly asked: string;
  /** Whether its weights come from somewhere; else they are random. */
  readonly trained: boolean;
  /** What a network of the zoo was built with. */
  readonly built?: NetworkOptions;
}

/**
 * The student that is asked for. A network of the zoo is built to take the teacher's place: as many classes, pictures of
 * the same size, the same vocabulary unless its options say otherwise, and the teacher's names for its inputs and output.
 *
 * @param self what `self` stands for
 * @param output the teacher's output that the answer is made of
 * @param seed of random weights
 * @throws TierbedError `missing` when there is no such network or file; `invalid` for options that it has not
 */
export async function buildStudent(
  student: Student,
  { self, teacher, output, seed }: { self: Model; teacher: Model; output: string; seed: number },
): Promise<BuiltStudent> {
  if (student.kind === 'self') return { model: self, asked: 'self', trained: true };
  if (student.kind === 'file') return { model: await readModel(student.path), asked: student.path, trained: true };
  return fromZoo(student, teacher, output, seed);
}

function fromZoo(student: ZooStudent, teacher: Model, output: string, seed: number): BuiltStudent {
  const { zoo, weights, options = {} } = student;
  const network = architecture(zoo);
  const { properties = {} } = network.optionsSchema as { readonly properties?: Readonly<Record<string, unknown>> };
  const taken = Object.entries(takenFrom(teacher, output)).filter(([name]) => Object.hasOwn(properties, name));
  const built: NetworkOptions = { ...Object.fromEntries(taken), ...options };
  const source =
    weights === undefined
      ? freshWeights(seed)
      : safetensorsWeights(weights, network.build(noWeights, built).parameters);
  const { model } = network.build(source, built);
  return { model: withNamesOf(teacher, model, output), asked: zoo, trained: weights !== undefined, built };
}

/**
 * Checks what can be checked of a student before there is a teacher.
 *
 * @throws TierbedError `missing` when the zoo has no such network, `invalid` for options that it has not
 */
export function checkZoo(student: Student): void {
  if (student.kind !== 'zoo') return;
  const { options = {}, zoo } = student;
  const problem = problemOf(options, architecture(zoo).optionsSchema);
  if (!problem) return;
  const message = `${showPath(['distill', 'student', 'options', ...problem.path])}: ${problem.message}`;
  throw new TierbedError('invalid', message, problem.fix === undefined ? {} : { fix: problem.fix });
}

/** What a teacher says of the networks that could take its place. */
function takenFrom(teacher: Model, output: string): NetworkOptions {
  const classes = lastDim(teacher.graph.outputs.find(({ name }) => name === output));
  const [image] = givenInputs(teacher).flatMap(({ type }) =>
    type.kind === 'tensor' && type.shape?.length === 4 && type.elemType === DATA_TYPE.float32 ? [type.shape] : [],
  );
  const rows = tableRows(teacher).get('input_ids')?.rows;
  return {
    ...(classes !== undefined && { classes }),
    ...(typeof image?.[3] === 'number' && { imageSize: image[3] }),
    ...(rows !== undefined && { vocabulary: rows }),
  };
}

function lastDim(info: ValueInfo | undefined): number | undefined {
  const dim = info?.type.kind === 'tensor' ? info.type.shape?.at(-1) : undefined;
  return typeof dim === 'number' ? dim : undefined;
}

/** A network of the zoo with the teacher's name for its output, and for its input where each has one of its kind. */
function withNamesOf(teacher: Model, student: Model, output: string): Model {
  const own = givenInputs(student);
  const its = givenInputs(teacher);
  const renaming = new Map<string, string>();
  const [input, target] = [own[0], its[0]];
  if (own.length === 1 && its.length === 1 && input && target) renaming.set(input.name, target.name);
  const [scores] = student.graph.outputs;
  if (scores) renaming.set(scores.name, output);
  return renamedValues(student, renaming);
}
