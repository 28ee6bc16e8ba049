/** Text, whole number, number with a unit, or true/false; anything but the identity columns may be empty. */
export type ColumnType = 'text' | 'integer' | 'number' | 'boolean';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

/** Parts of a sample's time: disjoint, and together exactly `endToEndMs`. In the order in which tables show them. */
export const PARTS = [
  'preprocess',
  'queue',
  'load',
  'decode',
  'compute',
  'encode',
  'serialise',
  'deserialise',
  'handover',
  'failover',
  'hop1Up',
  'hop1Down',
  'hop2Up',
  'hop2Down',
  'postprocess',
  'other',
] as const;
export type Part = (typeof PARTS)[number];

/** Message bytes that crossed each hop. */
export const BYTE_COUNTS = ['hop1Up', 'hop1Down', 'hop2Up', 'hop2Down'] as const;
export type ByteCount = (typeof BYTE_COUNTS)[number];

/** The most stages a strategy has: one a tier. */
export const MAX_STAGES = 3;

const STAGE_PARTS = ['Queue', 'Load', 'Compute'] as const;
const stageColumns = Array.from({ length: MAX_STAGES }, (_, stage) =>
  STAGE_PARTS.map((part): Column => ({ name: `stage${stage}${part}Ms`, type: 'number' })),
).flat();

/** The columns of samples.csv and samples.parquet, in order. What each means is in docs/results.md. */
export const COLUMNS: readonly Column[] = [
  { name: 'sample', type: 'integer' },
  { name: 'round', type: 'integer' },
  { name: 'block', type: 'integer' },
  { name: 'item', type: 'text' },
  { name: 'strategy', type: 'text' },
  { name: 'workload', type: 'text' },
  { name: 'recipe', type: 'text' },
  { name: 'placement', type: 'text' },
  { name: 'session', type: 'text' },
  { name: 'payload', type: 'text' },
  { name: 'status', type: 'text' },
  { name: 'error', type: 'text' },
  { name: 'fault', type: 'text' },
  { name: 'attempts', type: 'integer' },
  { name: 'way', type: 'text' },
  { name: 'exit', type: 'integer' },
  { name: 'startedAtUnixMs', type: 'number' },
  { name: 'endToEndMs', type: 'number' },
  ...PARTS.map((part): Column => ({ name: `${part}Ms`, type: 'number' })),
  ...stageColumns,
  ...BYTE_COUNTS.map((count): Column => ({ name: `${count}Bytes`, type: 'integer' })),
  { name: 'prediction', type: 'text' },
  { name: 'label', type: 'text' },
  { name: 'correct', type: 'boolean' },
  { name: 'outputSha256', type: 'text' },
];

/** One row of the results, by column name; null is an empty cell. */
export type SampleRow = Readonly<Record<string, string | number | boolean | null>>;
