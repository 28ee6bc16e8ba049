import { DATA_TYPE, type Initializer, type Model } from '../../onnx/model.js';
import { layerCounts, numbered, spreadLayer } from './layers.js';

/** Which of the teacher's weights a student begins with. */
export type InitName = 'teacher' | 'none';

/** A student with weights of its teacher, and which. */
export interface Initialised {
  readonly model: Model;
  /** Weights that were taken, of all float32 weights of the student. */
  readonly taken: number;
  readonly of: number;
  /** By the beginning of the layers' names: the teacher's layer that each of the student's began as; null where none fitted. */
  readonly layers: Readonly<Record<string, readonly (number | null)[]>>;
}

/**
 * Gives a student the teacher's weights where names and shapes fit. Where both number their layers alike and the student
 * has fewer, layer k takes the weights of one that is as far along in the teacher (`spreadLayer`). Running statistics are
 * taken with the weights that they belong to: they have their names and shapes too.
 */
export function fromTeacher(student: Model, teacher: Model): Initialised {
  const weights = student.graph.initializers.filter(isWeight);
  const given = new Map(teacher.graph.initializers.filter(isWeight).map((each) => [each.name, each]));
  const counts = {
    student: layerCounts(weights.map(({ name }) => name)),
    teacher: layerCounts(given.keys()),
  };
  const sourceOf = (name: string): string => {
    const found = numbered(name);
    const [own, its] = found ? [counts.student.get(found.before), counts.teacher.get(found.before)] : [];
    if (!found || own === undefined || its === undefined) return name;
    return `${found.before}${spreadLayer(found.layer, own, its)}${found.behind}`;
  };
  const layers: Record<string, (number | null)[]> = {};
  let taken = 0;
  const initializers = student.graph.initializers.map((weight): Initializer => {
    const source = isWeight(weight) ? given.get(sourceOf(weight.name)) : undefined;
    if (!source || source.dims.join() !== weight.dims.join()) return weight;
    taken++;
    const [own, its] = [numbered(weight.name), numbered(source.name)];
    if (own && its) {
      const began = layers[own.before] ?? new Array<null>(counts.student.get(own.before) ?? 0).fill(null);
      began[own.layer] = its.layer;
      layers[own.before] = began;
    }
    return { ...weight, data: source.data };
  });
  return { model: { ...student, graph: { ...student.graph, initializers } }, taken, of: weights.length, layers };
}

/** Single numbers (a square root that scores are divided by) are no weights: they belong to the graph they stand in. */
function isWeight({ dataType, dims }: Initializer): boolean {
  return dataType === DATA_TYPE.float32 && dims.reduce((product, dim) => product * dim, 1) > 1;
}
