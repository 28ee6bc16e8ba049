import type { NetworkOptions } from '../../workloads/zoo/options.js';
import { trainSettingsSchema } from '../train/settings-schema.js';
import type { TrainSettings } from '../train/types.js';
import type { InitName } from './init.js';

/** Two tensors that are compared: one name where both models call it the same. */
export type PairSpec = string | { readonly teacher: string; readonly student: string };

/** A term that compares tensors inside the two models. */
export interface TermSpec {
  /** `layers`: those behind each numbered layer, or in each attention; `last`: the last of these; or pairs by name. */
  readonly at: 'layers' | 'last' | readonly PairSpec[];
  /** Its factor in the loss; 1 unless said otherwise. */
  readonly weight?: number;
}

export interface AttentionSpec extends TermSpec {
  /** `kl`, the default, or `mse`, of the attention's probabilities. */
  readonly loss?: 'kl' | 'mse';
}

/** A network of the zoo; what is not said of it is taken from the teacher. */
export interface ZooStudent {
  readonly zoo: string;
  /** A `.safetensors` file that it begins with. */
  readonly weights?: string;
  /** Such as `classes` and `imageSize`: the network's own. */
  readonly options?: NetworkOptions;
}

/** An ONNX file; its weights are what it begins with. */
export interface FileStudent {
  readonly model: string;
}

/** `self`, the path of an ONNX file, or the name of a network of the zoo. */
export type StudentSpec = string | ZooStudent | FileStudent;

/** What a student is to learn of its teacher. */
export interface LessonOptions {
  /** Softens both models' probabilities; 4 unless said otherwise. */
  readonly temperature?: number;
  /** The share of what the teacher says; the rest is that of the labels. 0.9 unless said otherwise. */
  readonly alpha?: number;
  /** `false`: the labels are not looked at, whatever `alpha` leaves them. */
  readonly labels?: boolean;
  readonly hidden?: TermSpec;
  readonly attention?: AttentionSpec;
  /** What the teacher is asked: each `item` once, as it is; or every `batch`, as it was augmented. */
  readonly teacherSees?: 'item' | 'batch';
  /** Answers of the teacher that take more than this go to a file; 512 unless said otherwise. */
  readonly cacheMB?: number;
}

export interface DistillOptions extends LessonOptions {
  readonly student: StudentSpec;
  /** `teacher`: its weights where they fit. For networks of the zoo without a file of weights; `none` for others. */
  readonly init?: InitName;
  readonly batchNorm?: 'batch' | 'frozen';
  readonly train?: TrainSettings;
}

const name = { type: 'string', minLength: 1 };
const pair = {
  type: ['string', 'object'],
  minLength: 1,
  properties: { teacher: name, student: name },
  required: ['teacher', 'student'],
  additionalProperties: false,
};
const term = {
  at: { type: ['string', 'array'], if: { type: 'string' }, items: pair, minItems: 1 },
  weight: { type: 'number', exclusiveMinimum: 0 },
};
// biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's word
const at = { ...term.at, then: { enum: ['layers', 'last'] } };

/** JSON Schema of the properties of `LessonOptions`. */
export const lessonProperties = {
  temperature: { type: 'number', exclusiveMinimum: 0, maximum: 100 },
  alpha: { type: 'number', minimum: 0, maximum: 1 },
  labels: { type: 'boolean' },
  hidden: { type: 'object', properties: { ...term, at }, required: ['at'], additionalProperties: false },
  attention: {
    type: 'object',
    properties: { ...term, at, loss: { enum: ['kl', 'mse'] } },
    required: ['at'],
    additionalProperties: false,
  },
  teacherSees: { enum: ['item', 'batch'] },
  cacheMB: { type: 'number', minimum: 0 },
};

export const distillSchema = {
  type: 'object',
  properties: {
    student: {
      type: ['string', 'object'],
      minLength: 1,
      properties: {
        zoo: name,
        weights: name,
        options: { type: 'object' },
        model: name,
      },
      additionalProperties: false,
      minProperties: 1,
    },
    ...lessonProperties,
    init: { enum: ['teacher', 'none'] },
    batchNorm: { enum: ['batch', 'frozen'] },
    train: trainSettingsSchema,
  },
  required: ['student'],
  additionalProperties: false,
};

/** A student in one of its forms. */
export type Student =
  | { readonly kind: 'self' }
  | { readonly kind: 'file'; readonly path: string }
  | ({ readonly kind: 'zoo' } & ZooStudent);

/** What an option for the student stands for: a text that ends as a file of ONNX does is a path. */
export function studentOf(spec: StudentSpec): Student {
  if (typeof spec !== 'string') return 'zoo' in spec ? { kind: 'zoo', ...spec } : { kind: 'file', path: spec.model };
  if (spec === 'self') return { kind: 'self' };
  return /\.onnx$/i.test(spec) ? { kind: 'file', path: spec } : { kind: 'zoo', zoo: spec };
}

/** The files that a student is read from. */
export function studentFiles(student: Student): readonly string[] {
  if (student.kind === 'file') return [student.path];
  return student.kind === 'zoo' && student.weights !== undefined ? [student.weights] : [];
}

/** The option with the paths in it resolved. */
export function withPaths(spec: StudentSpec, resolve: (path: string) => string): StudentSpec {
  const student = studentOf(spec);
  if (student.kind === 'file') return { model: resolve(student.path) };
  if (typeof spec === 'string' || !('zoo' in spec) || spec.weights === undefined) return spec;
  return { ...spec, weights: resolve(spec.weights) };
}
