import Table from 'cli-table3';
import { type InspectedCut, type InspectedTensor, type Inspection, inspectModel } from '../../onnx/inspect.js';
import { readModel } from '../../onnx/read.js';
import type { RegisterCommand } from '../command.js';
import { dimOption } from '../dim-option.js';
import { formatBytes, formatCount } from '../units.js';

interface Options {
  readonly dim?: Record<string, number>;
  readonly all?: boolean;
  readonly json?: boolean;
}

/** Cuts shown in the table; all of a large model would not fit a screen. */
const SHOWN_CUTS = 40;

/** `tierbed inspect`: what a model takes, gives and costs, and where it can be cut. */
export const register: RegisterCommand = (program) => {
  program
    .command('inspect')
    .description('show what a model takes, gives and costs, and every place where it can be cut in two')
    .argument('<model>', 'an .onnx file')
    .option('--dim <symbol=size>', 'size of a free dimension (repeatable); the others are 1: one item', dimOption)
    .option('--all', `list every cut, not the ${SHOWN_CUTS} that send the fewest bytes`)
    .option('--json', 'as JSON: inputs, outputs, opset, parameters, macs, nodes, cuts')
    .addHelpText(
      'after',
      `
Each cut is given by the tensors that cross it, the bytes that these are for one item, and what is on either side.
Weights never cross; a model input that is still needed behind the cut does, and so does a model output made before it.

Examples:
  tierbed inspect mobilenet.onnx
  tierbed inspect bert.onnx --dim sequence=128
  tierbed inspect resnet.onnx --json | jq '.cuts | sort_by(.bytes)[0].tensors'`,
    )
    .action(async (path: string, options: Options) => {
      const inspection = await inspectModel(await readModel(path), { dims: options.dim ?? {} });
      process.stdout.write(
        options.json
          ? `${JSON.stringify(inspection, null, 2)}\n`
          : `${described(path, inspection, options.all === true)}\n`,
      );
    });
};

function described(path: string, inspection: Inspection, all: boolean): string {
  const { inputs, outputs, opset, parameters, macs, nodes, cuts } = inspection;
  const lines = [
    path,
    `  inputs      ${inputs.map(signature).join('\n              ')}`,
    `  outputs     ${outputs.map(signature).join('\n              ')}`,
    `  opset       ${opset}`,
    `  nodes       ${nodes}`,
    `  parameters  ${formatCount(parameters)}`,
    `  macs        ${count(macs)}`,
  ];
  if (cuts.length === 0) return [...lines, '', 'No place to cut it in two.'].join('\n');
  const shown = all ? cuts : lightest(cuts);
  const title =
    shown.length === cuts.length
      ? `${cuts.length} places to cut it in two, from its inputs to its outputs:`
      : `${cuts.length} places to cut it in two; the ${shown.length} that send the fewest bytes (--all lists them all):`;
  return [...lines, '', title, cutTable(shown)].join('\n');
}

function cutTable(cuts: readonly InspectedCut[]): string {
  const table = new Table({
    head: ['bytes', 'nodes', 'parameters', 'macs', 'tensors that cross'],
    colAligns: ['right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const { tensors, bytes, before, after } of cuts) {
    table.push([
      bytes === null ? '?' : formatBytes(bytes),
      `${before.nodes} | ${after.nodes}`,
      `${formatCount(before.parameters)} | ${formatCount(after.parameters)}`,
      `${count(before.macs)} | ${count(after.macs)}`,
      tensors.join('\n'),
    ]);
  }
  return table.toString();
}

/** The cuts that send the fewest bytes, in the order of the model. */
function lightest(cuts: readonly InspectedCut[]): readonly InspectedCut[] {
  const bytesOf = (cut: InspectedCut): number => cut.bytes ?? Number.POSITIVE_INFINITY;
  const kept = new Set([...cuts].sort((a, b) => bytesOf(a) - bytesOf(b)).slice(0, SHOWN_CUTS));
  return cuts.filter((cut) => kept.has(cut));
}

function signature({ name, dtype, shape }: InspectedTensor): string {
  return `${name}: ${dtype} ${shape ? `[${shape.map((dim) => dim ?? '?').join(', ')}]` : ''}`.trimEnd();
}

function count(value: number | null): string {
  return value === null ? '?' : formatCount(value);
}
