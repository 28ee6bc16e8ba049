import { TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { type Applied, applyRecipe } from '../../operators/apply-recipe.js';
import { OPERATORS } from '../../operators/index.js';
import { readRecipe } from '../../operators/parse-recipe.js';
import { loadOwn, ownNames } from '../../workloads/own/index.js';
import type { Workload } from '../../workloads/types.js';
import { loadWorkloadFile } from '../../workloads/workload-file.js';
import { appliedReport } from '../applied-report.js';
import type { RegisterCommand } from '../command.js';
import { json } from '../json.js';
import { numberOption } from '../numbers.js';
import { createProgress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';
import { table } from '../table.js';

interface Options {
  readonly workload?: string;
  readonly out?: string;
  readonly set?: string[];
  readonly evaluate: boolean;
  readonly threads: string;
  readonly force?: boolean;
  readonly list?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const EXAMPLES = `
RECIPE is operators with + between them, or a YAML file with a list of operators as in a study (docs/operators.md).
Without MODEL the workload's own is taken. DIR gets model.onnx, or stage-0.onnx, stage-1.onnx..., and manifest.json
(docs/apply.md); a folder of each where the recipe makes several variants.

Examples:
  tierbed apply partition --set partition.at=layer2.0 --workload pictures --out halves/
  tierbed apply prune --set prune.sparsity=0.5 --set prune.train.epochs=5 --workload pictures --out narrow/
  tierbed apply recipe.yaml mobilenet.onnx --workload mobilenet.yaml --out variant/
  tierbed apply identity mobilenet.onnx --workload mobilenet.yaml --out same/ --json | jq '.variants[0].accuracy'
  tierbed apply --list                                           the operators, and their options

Ctrl-C ends it and leaves nothing in DIR. What was built of it already is in the cache, and so is how far a training has
come: the same command goes on from there, also after a power cut (docs/train.md).
Exit codes: 0 done, 2 usage, 3 the recipe, the model or the data is wrong, 4 something is not there, 5 DIR is not empty,
7 disk full, 130 stopped by Ctrl-C.`;

/** `tierbed apply`: deployable variants of a model. */
export const register: RegisterCommand = (program) => {
  program
    .command('apply')
    .description('take a model through a recipe: variants of it to deploy, with what they are worth')
    .argument('[recipe]', "operators, e.g. sptq+partition, or a recipe's YAML file")
    .argument('[model]', "an .onnx file, in place of the workload's")
    .option('--workload <file>', `the model's data, a YAML file (docs/workloads.md), or ${ownNames.join(', ')}`)
    .option('--out <dir>', 'folder for the variant')
    .option('--set <option=value>', "an operator's option, e.g. partition.at=layer2.0 (repeatable)", gather)
    .option('--no-evaluate', 'do not run the evaluation part of the data before and after')
    .option('--threads <n>', 'threads for running models; 0 is one for each processor', '0')
    .option('--force', 'replace the variant that is in the folder')
    .option('--list', 'list the operators, and do nothing')
    .option('--json', 'print the manifests as JSON (with --list: the operators)')
    .option('--quiet', 'show no progress')
    .addHelpText('after', EXAMPLES)
    .action(apply);
};

async function apply(recipe: string | undefined, model: string | undefined, options: Options): Promise<void> {
  if (options.list) {
    process.stdout.write(options.json ? json(operators()) : operatorTable());
    return;
  }
  if (recipe === undefined) {
    throw new TierbedError('usage', 'what recipe?', { fix: 'Give one, e.g. sptq; --list shows the operators.' });
  }
  const out = needed('--out', options.out, 'Give the folder for the variant, e.g. --out variant/.');
  const of = needed('--workload', options.workload, `Give the file of the model's data, or ${ownNames.join(', ')}.`);
  const threads = numberOption('--threads', options.threads, { low: 0, high: 1024, unit: 'threads', whole: true });
  const progress = createProgress(process.stderr, { quiet: options.quiet === true });
  // Not every step of the work can look at the signal, and what is left half done is removed on the way out.
  const { signal, dispose } = stopSignal(500);
  try {
    const read = await readRecipe(recipe, options.set);
    const workload = await load(of, model, progress, signal);
    const made = await applyRecipe(workload, read, {
      ...{ out, threads, evaluate: options.evaluate, force: options.force === true, progress, signal },
    });
    process.stdout.write(options.json ? json(asJson(made)) : appliedReport(made));
  } finally {
    dispose();
  }
}

function needed(option: string, value: string | undefined, fix: string): string {
  if (value !== undefined) return value;
  throw new TierbedError('usage', `${option} is missing`, { fix });
}

async function load(
  workload: string,
  model: string | undefined,
  progress: Progress,
  signal: AbortSignal,
): Promise<Workload> {
  if (!ownNames.includes(workload)) return loadWorkloadFile(workload, { model, progress, signal });
  const own = await loadOwn(workload, {});
  return model === undefined ? own : { ...own, modelPath: model };
}

function gather(text: string, soFar: string[] = []): string[] {
  return [...soFar, text];
}

function asJson(made: readonly Applied[]): object {
  return { variants: made.map(({ folder, manifest }) => ({ folder, ...manifest })) };
}

function operators(): readonly object[] {
  return OPERATORS.map(({ name, summary, takes = 'whole', version, optionsSchema }) => {
    return { name, summary, takes, version, options: optionsSchema };
  });
}

function operatorTable(): string {
  const rows = OPERATORS.map(({ name, summary = '', optionsSchema }) => {
    const options = Object.keys((optionsSchema as { properties?: object }).properties ?? {});
    return [name, summary, options.join(', ')];
  });
  return table(['operator', 'does', 'options'], rows);
}
