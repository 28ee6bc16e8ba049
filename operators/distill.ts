import { modelParameters } from '../onnx/cost.js';
import { trainableWeights } from '../onnx/grad/trainable.js';
import { readModel } from '../onnx/read.js';
import { fromTeacher } from './distill/init.js';
import { lessonFacts, lessonsOf } from './distill/lessons.js';
import { checkStudent } from './distill/match.js';
import { type DistillOptions, distillSchema, studentFiles, studentOf, withPaths } from './distill/options.js';
import {
  answerOf,
  refuseAugmented,
  refuseItself,
  refuseSilence,
  refuseTemperature,
  refuseUndone,
  refuseUnused,
} from './distill/plan.js';
import { buildStudent, checkZoo } from './distill/student.js';
import { shapedByItem, taught } from './distill/taught.js';
import { refuseLowPrecision } from './float-weights.js';
import type { Operator } from './operator.js';
import { writeStage } from './stage-files.js';
import { keepZeros } from './train/keep-zeros.js';
import { train } from './train/train.js';
import { hashFile } from './variant.js';
import { wholeModel, withRecipe, withRecipeOf } from './whole-model.js';

/**
 * Teaches a smaller network to answer as the model does: knowledge distillation (Hinton, Vinyals and Dean, 2015,
 * arXiv:1503.02531), with terms for hidden states and attention (FitNets, arXiv:1412.6550; TinyBERT, arXiv:1909.10351).
 */
export const distill: Operator = {
  name: 'distill',
  summary: 'a student, smaller or pruned, that is taught by the model',
  optionsSchema: distillSchema,
  version: 2,
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
    refuseSettings(given);
  },

  async apply(variant, options, context) {
    const given = options as unknown as DistillOptions;
    const { workload, signal } = context;
    const student = studentOf(given.student);
    const original = (await hashFile(workload.modelPath)).sha256;
    refuseSettings(given);
    refuseItself(student, variant, original);
    const self = await wholeModel(variant, 'distill');
    // What was pruned is taught by the model as it was.
    const teacher = student.kind === 'self' ? await readModel(workload.modelPath) : self;
    const answer = answerOf(workload);
    refuseTemperature(answer, given, workload);
    const { output } = answer;
    const built = await buildStudent(student, { self, teacher, output, seed: given.train?.seed ?? 1 });
    const own = await shapedByItem(built.model, workload, signal);
    const its = await shapedByItem(teacher, workload, signal);
    checkStudent(built.asked, own, its, output);
    const lessons = lessonsOf(given, answer, own, its, given.train?.seed);
    const init = given.init ?? (built.trained ? 'none' : 'teacher');
    const begun = init === 'teacher' ? fromTeacher(built.model, teacher) : undefined;
    const start = begun?.model ?? built.model;
    const kept = student.kind === 'self' && variant.steps.some(({ operator }) => operator === 'prune');
    const identity = student.kind === 'self' ? original : (variant.stages[0]?.files[0]?.sha256 ?? '');
    const { batchNorm = 'batch', train: settings = {} } = given;
    const weights = trainableWeights(start);
    const { threads, workDir: folder, progress } = context;
    const lesson = await taught(
      { student: start, teacher: its, lessons, given, settings, context, identity },
      ({ model, projections, objective }) =>
        train({
          ...{ model, workload, settings, batchNorm, objective, threads, folder, progress, signal },
          plugins: kept ? [keepZeros(start, weights)] : [],
          weights: [...weights, ...projections],
        }),
    );
    const { result } = lesson;
    const made = withRecipe(withRecipeOf(self, result.model), 'distill');
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
          ...{ teacher: lesson.teacher, training: result.facts },
        },
      },
    ];
  },
};

/** Settings that contradict each other, or would be ignored. */
function refuseSettings(given: DistillOptions): void {
  refuseSilence(given);
  refuseUnused(given, given.train);
  refuseUndone(given);
  refuseAugmented(given, given.train);
}
