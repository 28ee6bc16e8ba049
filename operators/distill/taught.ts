import { join } from 'node:path';
import { itemValues } from '../../onnx/inspect.js';
import type { Model } from '../../onnx/model.js';
import { firstInputs } from '../../workloads/prepared.js';
import type { Workload } from '../../workloads/types.js';
import type { OperatorContext } from '../operator.js';
import { itemDims } from '../partition/item.js';
import { defaultObjective } from '../train/default-objective.js';
import type { Objective, TrainResult, TrainSettings } from '../train/types.js';
import type { Facts } from '../variant.js';
import { type Answers, answersByBatch, answersByItem } from './answers.js';
import type { Shaped } from './match.js';
import { distillObjective, type Lessons, teacherTensors } from './objective.js';
import type { LessonOptions } from './options.js';
import { withoutProjections, withProjections } from './projections.js';
import { openTeacher } from './teacher.js';

/** A student, its teacher, and what it is to learn of it. */
export interface Teaching {
  readonly student: Model;
  readonly teacher: Shaped;
  readonly lessons: Lessons;
  readonly given: LessonOptions;
  readonly settings: TrainSettings;
  readonly context: OperatorContext;
  /** What the teacher is, for checkpoints. */
  readonly identity: string;
}

/** What is to be trained. */
export interface Lesson {
  /** The student, with what only its loss uses. */
  readonly model: Model;
  /** Initializers of it that are trained and not kept. */
  readonly projections: readonly string[];
  readonly objective: Objective;
}

export interface Taught {
  /** The model is the student alone. */
  readonly result: TrainResult;
  /** How the teacher was asked. */
  readonly teacher: Facts;
}

/**
 * Has a student trained on what its teacher says, mixed with its labels.
 *
 * @param trainOn trains what it is given, however it likes
 * @throws TierbedError as `answersByItem` and `defaultObjective`; what `trainOn` throws
 */
export async function taught(
  { student, teacher, lessons, given, settings, context, identity }: Teaching,
  trainOn: (lesson: Lesson) => Promise<TrainResult>,
): Promise<Taught> {
  const tensors = teacherTensors(lessons);
  const shapes = new Map(tensors.map((name) => [name, (teacher.values.get(name)?.shape ?? []).slice(1) as number[]]));
  const labelled = lessons.alpha < 1 && given.labels !== false;
  const labels = labelled ? defaultObjective(context.workload, settings) : undefined;
  const { model, projections } = withProjections(student, lessons);
  const asked = await openTeacher(teacher.model, tensors, context.threads);
  try {
    const answers = await answersOf(asked, given, context);
    try {
      const objective = distillObjective(lessons, shapes, answers, labels, identity);
      const result = await trainOn({ model, projections, objective });
      return { result: { ...result, model: withoutProjections(result.model, projections) }, teacher: answers.facts };
    } finally {
      await answers.close();
    }
  } finally {
    await asked.close();
  }
}

function answersOf(
  teacher: Awaited<ReturnType<typeof openTeacher>>,
  { teacherSees = 'item', cacheMB = 512 }: LessonOptions,
  { workload, workDir, progress, signal }: OperatorContext,
): Answers | Promise<Answers> {
  if (teacherSees === 'batch') return answersByBatch(teacher);
  const path = join(workDir, 'teacher-answers.f32');
  return answersByItem(teacher, workload, { boundBytes: cacheMB * 1e6, path, progress, signal });
}

/** A model with the types of its tensors for the first item of the training part. */
export async function shapedByItem(model: Model, workload: Workload, signal: AbortSignal): Promise<Shaped> {
  const item = await firstInputs(workload, 'training', signal);
  return { model, values: await itemValues(model, itemDims(model, item)) };
}
