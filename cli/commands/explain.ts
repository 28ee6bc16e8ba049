import { TierbedError } from '../../base/errors.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import { type ExplainedModel, type Explanation, explain } from '../../operators/explain/explain.js';
import { formatMs, formatShare, type Reason } from '../../operators/explain/reasons/reason.js';
import { preparedItems } from '../../workloads/prepared.js';
import { loadWorkloadFile } from '../../workloads/workload-file.js';
import type { RegisterCommand } from '../command.js';
import { dimOption } from '../dim-option.js';
import { json } from '../json.js';
import { numberOption } from '../numbers.js';
import { createProgress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';
import { table } from '../table.js';
import { formatBytes, formatCount } from '../units.js';

interface Options {
  readonly against?: string;
  readonly workload?: string;
  readonly dim?: Record<string, number>;
  readonly threads: string;
  readonly runs: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

/** Nodes and node names that are shown; `--all` and `--json` have all. */
const SHOWN_NODES = 12;
const SHOWN_IN_REASON = 3;
/** Items of a workload that take turns: enough that no single one decides. */
const ITEMS = 8;
/** Ratios in this range are no difference that a few runs can tell. */
const AS_FAST = [0.97, 1.03] as const;

/** `tierbed explain`: where a model's time goes, and why a variant is not faster. */
export const register: RegisterCommand = (program) => {
  program
    .command('explain')
    .description('show where the time of a model goes, by operator and node, and why a variant is not faster')
    .argument('<model>', 'an .onnx file: the variant, where there are two')
    .option('--against <model>', 'the model that it was made of: both are measured, in turn, and reasons are given')
    .option('--workload <file>', `measure on the first ${ITEMS} items of a workload, not on made-up inputs`)
    .option(
      '--dim <symbol=size>',
      'size of a free dimension of made-up inputs (repeatable); the others are 1',
      dimOption,
    )
    .option('--threads <n>', 'threads of a run; 0 is one for each processor', '0')
    .option('--runs <n>', 'measured runs of each kind', '20')
    .option('--all', `list every node, not the ${SHOWN_NODES} slowest`)
    .option('--json', 'as JSON: model, against, ratio, reasons, cpu, threads, runs')
    .addHelpText(
      'after',
      `
Times are medians of runs in this process, without other load on the machine if you want to trust them. Nodes are those
of the graph that the runtime makes of the model, as its profiler sees them. Reasons overlap: a node may be in several.

Examples:
  tierbed explain mobilenet.onnx
  tierbed explain out/model.onnx --against mobilenet.onnx --threads 1
  tierbed explain bert-int8.onnx --against bert.onnx --dim sequence=128
  tierbed explain out/model.onnx --against mobilenet.onnx --json | jq '.reasons[] | {reason, ms}'`,
    )
    .action(async (path: string, options: Options) => {
      const threads = numberOption('--threads', options.threads, { low: 0, high: 1024, unit: 'threads', whole: true });
      const runs = numberOption('--runs', options.runs, { low: 1, high: 10_000, unit: 'runs', whole: true });
      if (options.dim && options.workload !== undefined) {
        throw new TierbedError('usage', '--dim and --workload: items have sizes of their own', {
          fix: 'Give one of them.',
        });
      }
      const stop = stopSignal();
      const progress = createProgress();
      try {
        const inputs = options.workload === undefined ? undefined : await itemsOf(options.workload, path, stop.signal);
        const explanation = await explain(path, {
          ...{ against: options.against, inputs, dims: options.dim, threads, runs, progress, signal: stop.signal },
        });
        process.stdout.write(options.json ? json(explanation) : described(explanation, options.all === true));
      } finally {
        stop.dispose();
      }
    });
};

async function itemsOf(file: string, model: string, signal: AbortSignal): Promise<readonly (readonly NamedTensor[])[]> {
  const workload = await loadWorkloadFile(file, { model, signal });
  const inputs: (readonly NamedTensor[])[] = [];
  for await (const item of preparedItems(workload, 'evaluation', () => {}, signal)) {
    inputs.push(item.inputs);
    if (inputs.length === ITEMS) break;
  }
  if (inputs.length === 0) throw new TierbedError('invalid', `${file}: no item of its data can be read`);
  return inputs;
}

function described({ model, against, ratio, reasons, cpu, threads, runs }: Explanation, all: boolean): string {
  const nodes = [...model.nodes].sort((a, b) => b.ms - a.ms);
  const shown = all ? nodes : nodes.slice(0, SHOWN_NODES);
  const lines = [
    `${model.path}: ${formatMs(model.runMs)} a run (median of ${runs}, ${threads} thread${threads === 1 ? '' : 's'}), ${formatBytes(model.bytes)}`,
    `${formatMs(model.nodesMs)} of it in ${model.nodes.length} nodes${int8Words(model)}. With profiling on, a run takes ${formatMs(model.profiledRunMs)}.`,
    '',
    kernelTable(model, against),
    `${shown.length < nodes.length ? `The ${shown.length} slowest nodes of ${nodes.length} (--all lists them all)` : 'Nodes, the slowest first'}:`,
    table(
      ['node', 'kernel', 'ms', 'share', 'MACs', 'bytes', 'MACs a byte'],
      shown.map(({ name, kernel, ms, macs, bytes }) => [
        ...[shortened(name), kernelName(kernel), ms.toFixed(3), formatShare(ms / model.nodesMs)],
        ...[
          macs > 0 ? formatCount(macs) : '',
          formatBytes(bytes),
          macs > 0 && bytes > 0 ? (macs / bytes).toFixed(1) : '',
        ],
      ]),
    ),
  ];
  if (against && ratio !== null) lines.push(verdict(model, against, ratio, reasons.length), '');
  else if (reasons.length > 0) lines.push('What holds it back, as measured:', '');
  for (const reason of reasons) lines.push(reasonText(reason));
  lines.push(
    cpu.dotProducts === null
      ? `Processor: ${cpu.name} (${cpu.arch}); whether it has instructions for int8 products is unknown.`
      : `Processor: ${cpu.name} (${cpu.arch}); instructions for int8 products: ${cpu.dotProducts.join(', ') || 'none'}.`,
  );
  return `${lines.join('\n')}\n`;
}

function int8Words({ int8 }: ExplainedModel): string {
  if (int8.int8Ms === 0 && int8.conversionMs === 0) return '';
  return `, ${formatShare(int8.share)} of that in int8 kernels`;
}

/** Time by kernel type, beside that of the other model where there is one. */
function kernelTable(model: ExplainedModel, against: ExplainedModel | null): string {
  const mine = new Map(model.int8.byKernel.map((entry) => [`${entry.kernel} ${entry.precision}`, entry]));
  const theirs = new Map(against?.int8.byKernel.map((entry) => [`${entry.kernel} ${entry.precision}`, entry]));
  const cells = (entry: { nodes: number; ms: number } | undefined, total: number): string[] =>
    entry ? [String(entry.nodes), entry.ms.toFixed(3), formatShare(entry.ms / total)] : ['', '', ''];
  const head = [
    'kernel',
    'computes in',
    'nodes',
    'ms',
    'share',
    ...(against ? ['original: nodes', 'ms', 'share'] : []),
  ];
  const keys = [...mine.keys(), ...[...theirs.keys()].filter((key) => !mine.has(key))];
  return table(
    head,
    keys.map((key) => {
      const entry = mine.get(key) ?? theirs.get(key);
      return [
        ...[kernelName(entry?.kernel ?? ''), entry?.precision ?? '', ...cells(mine.get(key), model.nodesMs)],
        ...(against ? cells(theirs.get(key), against.nodesMs) : []),
      ];
    }),
  );
}

function verdict(model: ExplainedModel, against: ExplainedModel, ratio: number, reasons: number): string {
  const times = `${formatMs(model.runMs)} against ${formatMs(against.runMs)} of ${against.path}`;
  const because = reasons > 0 ? 'What was measured of why' : 'Nothing was found that says why';
  if (ratio > AS_FAST[1]) return `Slower: ${times}, ${ratio.toFixed(2)} times as long. ${because}:`;
  if (ratio >= AS_FAST[0]) return `Not faster: ${times}, ${ratio.toFixed(2)} times as long. ${because}:`;
  return `Faster: ${times}, ${ratio.toFixed(2)} times as long.${reasons > 0 ? ' What keeps it from more:' : ''}`;
}

function reasonText({ reason, ms, says, nodes }: Reason): string {
  const named = nodes.slice(0, SHOWN_IN_REASON).map(({ name, kernel, ms: took, note }) => {
    return `      ${formatMs(took)}  ${shortened(name)} (${kernelName(kernel)})${note === undefined ? '' : `: ${shortened(note, 100)}`}`;
  });
  const more = nodes.length > SHOWN_IN_REASON ? [`      and ${nodes.length - SHOWN_IN_REASON} more`] : [];
  return `${[`  ${reason}, ${formatMs(ms)}: ${says}`, ...named, ...more].join('\n')}\n`;
}

/** Names of domains that say nothing to people are left away. */
function kernelName(kernel: string): string {
  if (kernel.startsWith('com.microsoft.nchwc:')) return `${kernel.slice('com.microsoft.nchwc:'.length)} (NCHWc)`;
  return kernel.replace(/^com\.microsoft:/, '');
}

function shortened(name: string, length = 48): string {
  return name.length <= length ? name : `${name.slice(0, length - 1)}…`;
}
