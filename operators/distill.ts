import { join } from 'node:path';
import { modelParameters } from '../onnx/cost.js';
import { trainableWeights } from '../onnx/grad/trainable.js';
import { itemValues } from '../onnx/inspect.js';
import type { Model } from '../onnx/model.js';
import { readModel } from '../onnx/read.js';
import { firstInputs } from '../workloads/prepared.js';
import { type Answers, answersByBatch, answersByItem } from './distill/answers.js';
import { fromTeacher } from './distill/init.js';
import { lessonFacts, lessonsOf } from './distill/lessons.js';
import { checkStudent, type Shaped } from './distill/match.js';
import { distillObjective, type Lessons, teacherTensors } from './distill/objective.js';
import { type DistillOptions, distillSchema, studentFiles, studentOf, withPaths } from './distill/options.js';
import {
  answerOf,
  refuseAugmented,
  refuseItself,
  refuseSilence,
  refuseTemperature,
  refuseUnused,
} from './distill/plan.js';
import { withoutProjections, withProjections } from './distill/projections.js';
import { buildStudent, checkZoo } from './distill/student.js';
import { openTeacher } from './distill/teacher.js';
import { refuseLowPrecision } from './float-weights.js';
import type { Operator, OperatorContext } from './operator.js';
import { itemDims } from './partition/item.js';
import { writeStage } from './stage-files.js';
import { defaultObjective } from './train/default-objective.js';
import { keepZeros } from './train/keep-zeros.js';
import { train } from './train/train.js';
import type { TrainResult } from './train/types.js';
import { type Facts, hashFile } from './variant.js';
import { wholeModel, withRecipe, withRecipeOf } from './whole-model.js';

/**
 * Teaches a smaller network to answer as the model does: knowledge distillation (Hinton, Vinyals and Dean, 2015,
 * arXiv:1503.02531), with terms for hidden states and attention (FitNets, arXiv:1412.6550; TinyBERT, arXiv:1909.10351).
 */
export const distill: Operator = {
  name: 'distill',
  summary: 'a student, smaller or pruned, that is taught by the model',
  optionsSchema: distillSchema,
  version: 1,
  after: refuseLowPrecision(
    (stored) =>
      `its student is trained in float32, and a teacher with weights in ${stored} could only pass its rounding on`,
  ),
  reads: () => ['training', 'tuning'],
  files: (options) => studentFiles(studentOf((options as unknown as DistillOptions).student)),
  resolved(options, resolve) {
    const { student } = options as unknown as DistillOptions;
    return student === undefined ? options : { ...options, student: withPaths(student, resolve) };
  },

  check(options) {
    const given = options as unknown as DistillOptions;
    checkZoo(studentOf(given.student));
    refuseSilence(given);
    refuseUnused(given);
    refuseAugmented(given);
  },

  async apply(variant, options, context) {
    const given = options as unknown as DistillOptions;
    const { workload, signal } = context;
    const student = studentOf(given.student);
    const original = (await hashFile(workload.modelPath)).sha256;
    refuseSilence(given);
    refuseUnused(given);
    refuseAugmented(given);
    refuseItself(student, variant, original);
    const self = await wholeModel(variant, 'distill');
    // What was pruned is taught by the model as it was.
    const teacher = student.kind === 'self' ? await readModel(workload.modelPath) : self;
    const answer = answerOf(workload);
    refuseTemperature(answer, given, workload);
    const { output } = answer;
    const built = await buildStudent(student, { self, teacher, output, seed: given.train?.seed ?? 1 });
    const item = await firstInputs(workload, 'training', signal);
    const shaped = async (model: Model): Promise<Shaped> => ({
      model,
      values: await itemValues(model, itemDims(model, item)),
    });
    const [own, its] = [await shaped(built.model), await shaped(teacher)];
    checkStudent(built.asked, own, its, output);
    const lessons = lessonsOf(given, answer, own, its);
    const init = given.init ?? (built.trained ? 'none' : 'teacher');
    const begun = init === 'teacher' ? fromTeacher(built.model, teacher) : undefined;
    const start = begun?.model ?? built.model;
    const kept = student.kind === 'self' && variant.steps.some(({ operator }) => operator === 'prune');
    const identity = student.kind === 'self' ? original : (variant.stages[0]?.files[0]?.sha256 ?? '');
    const taught = await teach(start, its, lessons, { given, context, identity, zerosStay: kept });
    const made = withRecipe(withRecipeOf(self, taught.model), 'distill');
    return [
      {
        ...variant,
        stages: [await writeStage(made, context.outDir, 'model')],
        facts: {
          student: built.asked,
          ...(built.built && { built: built.built }),
          parameters: { teacher: modelParameters(teacher), student: modelParameters(start) },
          init: begun ? { from: 'teacher', weights: begun.taken, of: begun.of, layers: begun.layers } : init,
          ...lessonFacts(lessons),
          ...(kept && { kept: 'zeros' }),
          ...taught.facts,
        },
      },
    ];
  },
};

interface Teaching {
  readonly given: DistillOptions;
  readonly context: OperatorContext;
  /** What the teacher is, for checkpoints. */
  readonly identity: string;
  /** Whether weights of the student that are zero stay so. */
  readonly zerosStay: boolean;
}

/** Asks the teacher, and trains the student. */
async function teach(
  student: Model,
  teacher: Shaped,
  lessons: Lessons,
  { given, context, identity, zerosStay }: Teaching,
): Promise<{ readonly model: Model; readonly facts: Facts }> {
  const { batchNorm = 'batch', train: settings = {} } = given;
  const { workload, workDir: folder, threads, progress, signal } = context;
  const tensors = teacherTensors(lessons);
  const shapes = new Map(tensors.map((name) => [name, (teacher.values.get(name)?.shape ?? []).slice(1) as number[]]));
  const labels = lessons.alpha < 1 ? defaultObjective(workload, settings) : undefined;
  const weights = trainableWeights(student);
  const { model, projections } = withProjections(student, lessons);
  const trainOn = (answers: Answers): Promise<TrainResult> =>
    train({
      ...{ model, workload, settings, batchNorm, threads, folder, progress, signal },
      objective: distillObjective(lessons, shapes, answers, labels, identity),
      plugins: zerosStay ? [keepZeros(student, weights)] : [],
      weights: [...weights, ...projections],
    });
  const asked = await openTeacher(teacher.model, tensors, threads);
  try {
    const answers = await answersOf(asked, given, context);
    try {
      const result = await trainOn(answers);
      return {
        model: withoutProjections(result.model, projections),
        facts: { teacher: answers.facts, training: result.facts },
      };
    } finally {
      await answers.close();
    }
  } finally {
    await asked.close();
  }
}

function answersOf(
  teacher: Awaited<ReturnType<typeof openTeacher>>,
  { teacherSees = 'item', cacheMB = 512 }: DistillOptions,
  { workload, workDir, progress, signal }: OperatorContext,
): Answers | Promise<Answers> {
  if (teacherSees === 'batch') return answersByBatch(teacher);
  const path = join(workDir, 'teacher-answers.f32');
  return answersByItem(teacher, workload, { boundBytes: cacheMB * 1e6, path, progress, signal });
}
