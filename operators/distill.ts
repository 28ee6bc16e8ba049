import { join } from 'node:path';
import { initializerOf } from '../onnx/build.js';
import { modelParameters } from '../onnx/cost.js';
import { trainableWeights } from '../onnx/grad/trainable.js';
import { givenInputs, itemValues } from '../onnx/inspect.js';
import { DATA_TYPE, type Model } from '../onnx/model.js';
import { readModel } from '../onnx/read.js';
import { float32Tensor } from '../onnx/tensor.js';
import { writeModel } from '../onnx/write.js';
import { firstInputs } from '../workloads/prepared.js';
import { answersByBatch, answersByItem } from './distill/answers.js';
import { fromTeacher, type Initialised } from './distill/init.js';
import { checkStudent, type Shaped } from './distill/match.js';
import { distillObjective, type Lessons, teacherTensors } from './distill/objective.js';
import { type DistillOptions, distillSchema, studentFiles, studentOf, withPaths } from './distill/options.js';
import { answerOf, labelsOf, refuseAugmented } from './distill/plan.js';
import { scoresOf } from './distill/scores.js';
import { buildStudent, checkZoo } from './distill/student.js';
import { openTeacher } from './distill/teacher.js';
import { attentionPairs, hiddenPairs } from './distill/terms.js';
import { refuseLowPrecision } from './float-weights.js';
import { describeModel } from './model-files.js';
import type { Operator } from './operator.js';
import { itemDims } from './partition/item.js';
import { keepZeros } from './train/keep-zeros.js';
import { train } from './train/train.js';
import type { TrainPlugin } from './train/types.js';
import { hashFile } from './variant.js';
import { wholeModel, withRecipe } from './whole-model.js';

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
    'distill',
    (stored) =>
      `its student is trained in float32, and a teacher with weights in ${stored} could only pass its rounding on`,
  ),
  reads: () => ['training', 'tuning'],
  files: (options) => studentFiles(studentOf((options as unknown as DistillOptions).student)),
  resolved(options, resolve) {
    const { student } = options as unknown as DistillOptions;
    return student === undefined ? options : { ...options, student: withPaths(student, resolve) };
  },

  check: (options) => checkZoo(studentOf((options as unknown as DistillOptions).student)),

  async apply(variant, options, context) {
    const given = options as unknown as DistillOptions;
    const { workload, threads, outDir, workDir: folder, progress, signal } = context;
    const { temperature = 4, alpha = 0.9, teacherSees = 'item', cacheMB = 512, batchNorm = 'batch' } = given;
    const settings = given.train ?? {};
    const { seed = 1 } = settings;
    refuseAugmented(given);
    const student = studentOf(given.student);
    const self = await wholeModel(variant, 'distill');
    // What was pruned is taught by the model as it was.
    const teacher = student.kind === 'self' ? await readModel(workload.modelPath) : self;
    const answer = answerOf(workload);
    const built = await buildStudent(student, { self, teacher, output: answer.output, seed });
    const item = await firstInputs(workload, 'training', signal);
    const shaped = async (model: Model): Promise<Shaped> => ({
      model,
      values: await itemValues(model, itemDims(model, item)),
    });
    const [its, own] = [await shaped(teacher), await shaped(built.model)];
    checkStudent(built.asked, own, its, answer.output);
    const init = given.init ?? (built.trained ? 'none' : 'teacher');
    const begun: Initialised | undefined = init === 'teacher' ? fromTeacher(built.model, teacher) : undefined;
    const start = begun?.model ?? built.model;
    const lessons: Lessons = {
      ...{ kind: answer.kind, temperature, alpha, mask: maskOf(start) },
      answer: {
        student: answer.output,
        teacher: answer.kind === 'classes' ? scoresOf(teacher, answer.output) : answer.output,
      },
      hidden: {
        pairs: given.hidden ? hiddenPairs(given.hidden, own, its, seed) : [],
        weight: given.hidden?.weight ?? 1,
      },
      attention: {
        pairs: given.attention ? attentionPairs(given.attention, own, its) : [],
        weight: given.attention?.weight ?? 1,
        loss: given.attention?.loss ?? 'kl',
      },
    };
    const tensors = teacherTensors(lessons);
    const asked = await openTeacher(teacher, tensors, threads);
    try {
      const boundBytes = cacheMB * 1e6;
      const path = join(folder, 'teacher-answers.f32');
      const answers =
        teacherSees === 'batch'
          ? answersByBatch(asked)
          : await answersByItem(asked, workload, { boundBytes, path, progress, signal });
      try {
        const shapes = new Map(tensors.map((name) => [name, (its.values.get(name)?.shape ?? []).slice(1) as number[]]));
        const labels = alpha < 1 ? labelsOf(workload, settings.labelSmoothing) : undefined;
        const identity = (await hashFile(student.kind === 'self' ? workload.modelPath : firstFile(variant))).sha256;
        const weights = trainableWeights(start);
        const { model, projections } = withProjections(start, lessons);
        const pruned = student.kind === 'self' && variant.steps.some(({ operator }) => operator === 'prune');
        const plugins: readonly TrainPlugin[] = pruned ? [keepZeros(start, weights)] : [];
        const trained = await train({
          ...{ model, workload, settings, batchNorm, threads, folder, progress, signal, plugins },
          objective: distillObjective(lessons, shapes, answers, labels, identity),
          weights: [...weights, ...projections],
        });
        const made = join(outDir, 'model.onnx');
        await writeModel(withRecipe(recipeOf(without(trained.model, projections), self), 'distill'), made);
        return [
          {
            ...variant,
            stages: [await describeModel(made)],
            facts: {
              student: built.asked,
              ...(built.built && { built: built.built }),
              parameters: { teacher: modelParameters(teacher), student: modelParameters(start) },
              ...{ temperature, alpha },
              init: begun ? { from: 'teacher', weights: begun.taken, of: begun.of, layers: begun.layers } : init,
              ...(lessons.hidden.pairs.length > 0 && { hidden: pairFacts(lessons.hidden) }),
              ...(lessons.attention.pairs.length > 0 && {
                attention: { loss: lessons.attention.loss, ...pairFacts(lessons.attention) },
              }),
              ...(pruned && { kept: 'zeros' }),
              teacher: answers.facts,
              training: trained.facts,
            },
          },
        ];
      } finally {
        await answers.close();
      }
    } finally {
      await asked.close();
    }
  },
};

function firstFile({
  stages,
}: {
  readonly stages: readonly { readonly files: readonly { path: string }[] }[];
}): string {
  return stages[0]?.files[0]?.path as string;
}

/** BERT's name for the input that says which tokens are padding, where the model has it. */
function maskOf(model: Model): string | undefined {
  const found = givenInputs(model).find(
    ({ name, type }) => name === 'attention_mask' && type.kind === 'tensor' && type.elemType === DATA_TYPE.int64,
  );
  return found?.name;
}

/** The student with the weights of its projections, which only the loss uses. */
function withProjections(model: Model, { hidden }: Lessons) {
  const added = hidden.pairs.flatMap(({ projection }) =>
    projection ? [initializerOf(projection.name, float32Tensor(projection.dims, projection.values))] : [],
  );
  const { graph } = model;
  return {
    model: { ...model, graph: { ...graph, initializers: [...graph.initializers, ...added] } },
    projections: added.map(({ name }) => name),
  };
}

function without(model: Model, names: readonly string[]): Model {
  const { graph } = model;
  return {
    ...model,
    graph: { ...graph, initializers: graph.initializers.filter(({ name }) => !names.includes(name)) },
  };
}

/** The student with what the teacher's file says of the steps before this one. */
function recipeOf(student: Model, teacher: Model): Model {
  const before = teacher.metadataProps.filter(({ key }) => key === 'tierbed.recipe');
  return {
    ...student,
    metadataProps: [...student.metadataProps.filter(({ key }) => key !== 'tierbed.recipe'), ...before],
  };
}

function pairFacts({
  pairs,
  weight,
}: {
  readonly pairs: Lessons['hidden']['pairs'] | Lessons['attention']['pairs'];
  readonly weight: number;
}) {
  return { weight, pairs: pairs.map(({ student, teacher }) => ({ student, teacher })) };
}
