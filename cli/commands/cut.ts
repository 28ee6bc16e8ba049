import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import Table from 'cli-table3';
import { TierbedError } from '../../base/errors.js';
import { cutModel } from '../../onnx/cut.js';
import { itemBytes, type Side, stageFigures } from '../../onnx/inspect.js';
import type { Model } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import { writeModel } from '../../onnx/write.js';
import type { RegisterCommand } from '../command.js';
import { dimOption } from '../dim-option.js';
import { createProgress } from '../progress.js';
import { formatBytes, formatCount } from '../units.js';

interface Options {
  readonly at: string[];
  readonly out: string;
  readonly dim?: Record<string, number>;
  readonly json?: boolean;
}

/** `tierbed cut`: a model into the stages that run on different nodes. */
export const register: RegisterCommand = (program) => {
  program
    .command('cut')
    .description('cut a model into stages that compute the same, one after the other')
    .argument('<model>', 'an .onnx file')
    .requiredOption(
      '--at <tensors>',
      'tensors that cross the cut, with commas between them (repeat for more cuts)',
      gather,
    )
    .requiredOption('--out <dir>', 'folder for stage-0.onnx, stage-1.onnx...')
    .option(
      '--dim <symbol=size>',
      'size of a free dimension, for the bytes shown (repeatable); the others are 1',
      dimOption,
    )
    .option('--json', 'print what was written as JSON: stages, cuts')
    .addHelpText(
      'after',
      `
The tensors of every possible cut are what tierbed inspect lists. A set that does not separate the model is refused, with
the tensors that are missing.

Examples:
  tierbed cut wide.onnx --at layer3.16 --out stages/
  tierbed cut resnet.onnx --at conv2_out,skip2 --at pool --out stages/      three stages
  tierbed cut bert.onnx --at embeddings,mask --dim sequence=128 --out stages/`,
    )
    .action(async (path: string, options: Options) => {
      const progress = createProgress();
      progress.start(`cutting ${path}`, options.at.length + 1);
      const model = await readModel(path);
      const cuts = options.at.map((text) => tensorsOf(text, model));
      const stages = await cutModel(model, cuts);
      await refuseLeftovers(options.out, stages.length);
      await mkdir(options.out, { recursive: true });
      const figures = await stageFigures(model, stages, options.dim ?? {});
      const written: { file: string; bytes: number; side: Side }[] = [];
      for (const [i, stage] of stages.entries()) {
        const file = join(options.out, `stage-${i}.onnx`);
        await writeModel(stage, file);
        written.push({ file, bytes: await sizeOf(file), side: figures.sides[i] as Side });
        progress.update(i + 1);
      }
      progress.stop();
      const crossing = stages.slice(1).map((stage) => {
        const tensors = stage.graph.inputs.map(({ name }) => name).filter((name) => !isWeight(stage, name));
        return { tensors, bytes: itemBytes(tensors, figures.values) };
      });
      process.stdout.write(
        options.json
          ? `${JSON.stringify({ stages: written.map(({ file, bytes, side }) => ({ file, bytes, ...side })), cuts: crossing }, null, 2)}\n`
          : `${described(written, crossing)}\n`,
      );
    });
};

function gather(text: string, soFar: string[] = []): string[] {
  return [...soFar, text];
}

/** A list with commas; a tensor whose name has a comma is taken whole. */
function tensorsOf(text: string, { graph }: Model): string[] {
  if (graph.nodes.some(({ outputs }) => outputs.includes(text)) || graph.inputs.some(({ name }) => name === text)) {
    return [text];
  }
  return text.split(',').map((name) => name.trim());
}

function isWeight({ graph }: Model, name: string): boolean {
  return graph.initializers.some((weight) => weight.name === name);
}

/** A stage file of an earlier cut into more stages would look like one of these. */
async function refuseLeftovers(dir: string, stages: number): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  const left = names.filter((name) => Number(/^stage-(\d+)\.onnx$/.exec(name)?.[1] ?? -1) >= stages);
  if (left.length === 0) return;
  throw new TierbedError('refused', `${dir} has ${left.join(', ')} of an earlier cut into more stages`, {
    fix: 'remove these files, or choose another folder',
  });
}

/** Bytes of a model file and of the external data that was written beside it. */
async function sizeOf(file: string): Promise<number> {
  const data = await stat(`${file}.data`).catch(() => undefined);
  return (await stat(file)).size + (data?.size ?? 0);
}

function described(
  stages: readonly { file: string; bytes: number; side: Side }[],
  cuts: readonly { tensors: readonly string[]; bytes: number | null }[],
): string {
  const table = new Table({
    head: ['stage', 'size', 'nodes', 'parameters', 'macs', 'passes on for one item'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [] },
  });
  for (const [i, { file, bytes, side }] of stages.entries()) {
    const cut = cuts[i];
    const passesOn = cut ? `${cut.bytes === null ? '?' : formatBytes(cut.bytes)}: ${cut.tensors.join(', ')}` : '';
    const macs = side.macs === null ? '?' : formatCount(side.macs);
    table.push([file, formatBytes(bytes), side.nodes, formatCount(side.parameters), macs, passesOn]);
  }
  return table.toString();
}
