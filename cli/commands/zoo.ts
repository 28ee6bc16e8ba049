import Table from 'cli-table3';
import { InvalidArgumentError } from 'commander';
import { parseCheckedYaml } from '../../base/checked-yaml.js';
import { ARCHITECTURES, type Architecture, architecture, summarise } from '../../workloads/zoo/architectures.js';
import { buildFile } from '../../workloads/zoo/build-file.js';
import type { NetworkOptions } from '../../workloads/zoo/options.js';
import type { RegisterCommand } from '../command.js';
import { createProgress } from '../progress.js';

/** `tierbed zoo`: published networks as ONNX files. */
export const register: RegisterCommand = (program) => {
  const zoo = program
    .command('zoo')
    .description("build the published study's networks, and small ones, as ONNX models")
    .addHelpText(
      'after',
      `
Examples:
  tierbed zoo list                                          the networks and their sizes
  tierbed zoo list --json                                   with inputs, cuts and sources
  tierbed zoo build resnext50_32x4d --out resnext50.onnx    random weights, the same for the same --seed
  tierbed zoo build bert-base --weights model.safetensors   trained weights, e.g. Hugging Face's`,
    );

  zoo
    .command('list')
    .description('list the networks')
    .option('--json', 'as JSON: name, parameters, inputs, outputs, cuts, the cut of the study, paper')
    .action((options: { json?: boolean }) => {
      const networks = ARCHITECTURES.map(summarise);
      if (options.json) {
        process.stdout.write(`${JSON.stringify(networks, null, 2)}\n`);
        return;
      }
      const table = new Table({
        head: ['name', 'task', 'role', 'parameters', 'MB', 'inputs', "the study's cut"],
        style: { head: [], border: [] },
      });
      for (const n of networks) {
        table.push([
          n.name,
          n.task,
          n.role,
          `${(n.parameters / 1e6).toFixed(2)} M`,
          (n.weightBytes / 1e6).toFixed(0),
          n.inputs.map((input) => input.name).join(', '),
          n.studyCut?.join(', ') ?? '',
        ]);
      }
      process.stdout.write(`${table}\n`);
    });

  zoo
    .command('build')
    .description('build one network into an ONNX file')
    .argument('<name>', `one of ${ARCHITECTURES.map((a) => a.name).join(', ')}`)
    .option('--weights <file>', 'take the weights from this .safetensors file (torchvision, timm, Hugging Face names)')
    .option('--seed <n>', 'seed of the random weights', wholeNumber, 0)
    .option('--set <option=value>', 'what is other than published, e.g. classes=10 (repeatable)', gather)
    .option('--fresh', 'random weights are those that training begins with')
    .option('--out <file>', 'where to write it (default: NAME.onnx)')
    .option('--json', 'print what was built as JSON: name, path, bytes, parameters, weights or seed')
    .addHelpText(
      'after',
      `
Examples:
  tierbed zoo build wide_resnet101_2 --seed 7 --out wide.onnx
  tierbed zoo build roberta-base --weights roberta-base-mrpc/model.safetensors --out roberta.onnx
  tierbed zoo build bert-tiny --set classes=6 --set vocabulary=2000 --fresh --out small.onnx
  tierbed cut wide.onnx --at layer3.16 --out stages/`,
    )
    .action(async (name: string, options: BuildCommandOptions) => {
      const network = architecture(name);
      const built = await buildFile(network, options.out ?? `${name}.onnx`, {
        ...(options.weights !== undefined && { weights: options.weights }),
        ...(options.fresh && { fresh: true }),
        ...{ seed: options.seed, network: chosen(network, options.set ?? []) },
        progress: createProgress(),
      });
      const origin = options.weights ? { weights: options.weights } : { seed: options.seed };
      if (options.json) {
        process.stdout.write(`${JSON.stringify({ name, ...built, ...origin })}\n`);
      } else {
        const from = options.weights ? `weights of ${options.weights}` : `random weights, seed ${options.seed}`;
        process.stdout.write(
          `${built.path}: ${name}, ${(built.parameters / 1e6).toFixed(2)} M parameters, ` +
            `${(built.bytes / 1e6).toFixed(0)} MB, ${from}\n`,
        );
      }
    });
};

interface BuildCommandOptions {
  readonly weights?: string;
  readonly seed: number;
  readonly set?: readonly string[];
  readonly fresh?: boolean;
  readonly out?: string;
  readonly json?: boolean;
}

function gather(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** The options of a network from `name=value`, where the value is YAML. @throws TierbedError `invalid` */
function chosen(network: Architecture, settings: readonly string[]): NetworkOptions {
  const entries = settings.map((setting) => {
    const at = setting.indexOf('=');
    return `${at < 0 ? setting : setting.slice(0, at)}: ${at < 0 ? '' : setting.slice(at + 1)}`;
  });
  return entries.length === 0
    ? {}
    : parseCheckedYaml<NetworkOptions>(entries.join('\n'), '--set', network.optionsSchema).data;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('It is not a whole number.');
  return value;
}
