import { TierbedError } from '../../base/errors.js';
import { dataTypeName } from '../../onnx/data-types.js';
import type { TensorType } from '../../onnx/infer.js';
import { givenInputs } from '../../onnx/inspect.js';
import type { Model, ValueInfo } from '../../onnx/model.js';

type Shapes = ReadonlyMap<string, TensorType>;

/** A model and the types of one item's tensors. */
export interface Shaped {
  readonly model: Model;
  readonly values: Shapes;
}

/**
 * Checks that a student can take its teacher's place: it takes inputs that the teacher takes, under their names, and gives
 * the answer under the same name and in the same shape.
 *
 * @param output the output that the answer is made of
 * @param asked what the student is called in messages
 * @throws TierbedError `invalid` with what differs and what to do about it
 */
export function checkStudent(asked: string, student: Shaped, teacher: Shaped, output: string): void {
  const takes = new Map(givenInputs(teacher.model).map((info) => [info.name, info]));
  for (const info of givenInputs(student.model)) {
    const its = takes.get(info.name);
    if (!its) {
      throw refused(asked, `it takes the input '${info.name}', which the teacher does not take`, {
        fix: `Export it with the teacher's inputs: ${[...takes.keys()].join(', ')}.`,
      });
    }
    if (!alike(info, its)) {
      throw refused(asked, `its input '${info.name}' is ${described(info)}, and the teacher's is ${described(its)}`, {
        fix: 'Build it for items of the same size (`student: { zoo: NAME, options: { imageSize: 32 } }`).',
      });
    }
  }
  checkTables(asked, student.model, teacher.model);
  if (!student.model.graph.outputs.some(({ name }) => name === output)) {
    const names = student.model.graph.outputs.map(({ name }) => name).join(', ');
    throw refused(asked, `it has no output '${output}', where the teacher has its answer; it has ${names}`, {
      fix: `Export it with '${output}' as the name of its scores.`,
    });
  }
  const [own, its] = [student.values.get(output), teacher.values.get(output)];
  if (own?.shape && its?.shape && (own.dtype !== its.dtype || own.shape.join() !== its.shape.join())) {
    throw refused(
      asked,
      `its output '${output}' is ${typeText(own)} for one item, and the teacher's is ${typeText(its)}`,
      { fix: `Build it for ${its.shape.at(-1)} classes, in the teacher's order.` },
    );
  }
}

function refused(student: string, reason: string, options: { fix: string }): TierbedError {
  return new TierbedError('invalid', `distill: the student ${student} does not fit the teacher: ${reason}`, options);
}

/** Whether what fits one input fits the other. */
function alike(a: ValueInfo, b: ValueInfo): boolean {
  if (a.type.kind !== 'tensor' || b.type.kind !== 'tensor' || a.type.elemType !== b.type.elemType) return false;
  const [own, its] = [a.type.shape, b.type.shape];
  if (!own || !its) return true;
  // The first dimension is the batch.
  return (
    own.length === its.length &&
    own.every(
      (dim, axis) => axis === 0 || typeof dim !== 'number' || typeof its[axis] !== 'number' || dim === its[axis],
    )
  );
}

/** A teacher's ids must all be rows of the student's tables. */
function checkTables(asked: string, student: Model, teacher: Model): void {
  const its = tableRows(teacher);
  for (const [input, { table, rows }] of tableRows(student)) {
    const known = its.get(input);
    if (!known || rows >= known.rows) continue;
    throw refused(asked, `its table ${table} has ${rows} rows for '${input}', and the teacher's ${known.rows}`, {
      fix: 'Build it with the vocabulary that the teacher and the workload have.',
    });
  }
}

/** By input: the table that its numbers are looked up in, and the rows that it has. */
export function tableRows({ graph }: Model): ReadonlyMap<string, { readonly table: string; readonly rows: number }> {
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const weights = new Map(graph.initializers.map((each) => [each.name, each]));
  const found = new Map<string, { table: string; rows: number }>();
  for (const {
    opType,
    inputs: [table = '', ids = ''],
  } of graph.nodes) {
    const weight = opType === 'Gather' && inputs.has(ids) ? weights.get(table) : undefined;
    if (weight) found.set(ids, { table, rows: weight.dims[0] ?? 0 });
  }
  return found;
}

function described({ type }: ValueInfo): string {
  if (type.kind !== 'tensor') return `a ${type.kind}`;
  return typeText({ dtype: type.elemType, shape: type.shape });
}

function typeText({
  dtype,
  shape,
}: {
  readonly dtype: number;
  readonly shape: TensorType['shape'] | undefined;
}): string {
  return `${dataTypeName(dtype)} [${shape?.map((dim) => dim ?? '?').join(', ') ?? '?'}]`;
}
