import { type Command, InvalidArgumentError } from 'commander';
import { TierbedError } from '../../base/errors.js';
import { type ApiFlags, addApiOptions } from '../api-options.js';
import type { RegisterCommand } from '../command.js';
import { json } from '../json.js';
import { createProgress } from '../progress.js';
import { runReport } from '../run-report.js';
import { stopSignal } from '../stop-signal.js';

interface Options extends ApiFlags {
  readonly check?: boolean;
  readonly out?: string;
  readonly resume?: string;
  readonly runtime: string;
  readonly scale?: number;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly detach?: boolean;
}

const EXAMPLES = `
Examples:
  tierbed run studies/quickstart.yaml
  tierbed run studies/quickstart.yaml --check             validate, and print the plan
  tierbed run studies/quickstart.yaml --out /tmp/mine     write to a folder of your own
  tierbed run studies/quickstart.yaml --resume results/latest
  tierbed run studies/quickstart.yaml --json --quiet | jq '.strategies[].latencyMs.p50'
  tierbed run studies/quickstart.yaml --runtime docker             on the testbed that 'tierbed up' started
  tierbed run studies/quickstart.yaml --runtime docker --detach    start it, and follow it with 'tierbed study'

With --runtime docker, or --api, the study and the files it names are sent to the orchestrator (docs/api.md).

Ctrl-C stops a run and loses nothing: --resume finishes it.
Exit codes: 0 done, 2 usage, 3 the study or a model is wrong, 4 something is not there, 5 refused (links out of
tolerance, folder in use), 6 a node is lost, 7 disk full, 130 stopped by Ctrl-C.`;

export const register: RegisterCommand = (program: Command) => {
  const command = program
    .command('run')
    .description('run a study: deploy every strategy, measure it, and say which is best')
    .argument('<study>', 'the study, a YAML file (docs/study.md)')
    .option('--check', 'validate the study and print the plan, without running it')
    .option('--out <folder>', 'results folder (default: results/NAME-TIME)')
    .option('--resume <folder>', 'finish the run in this results folder')
    .option('--runtime <name>', 'where the nodes run: local or docker', 'local')
    .option('--scale <factor>', "multiply all tiers' CPUs and memory by this, e.g. 0.0625", scaleFactor)
    .option('--detach', 'with --runtime docker or --api: start the study and return')
    .option('--json', 'print summary.json (with --check: plan.json) instead of a table')
    .option('--quiet', 'show no progress')
    .addHelpText('after', EXAMPLES)
    .action(run);
  addApiOptions(command);
};

async function run(path: string, options: Options): Promise<void> {
  if (options.out !== undefined && options.resume !== undefined) {
    throw new TierbedError('usage', '--out and --resume cannot be given together', {
      fix: 'Give --resume alone: it writes to the folder that it resumes.',
    });
  }
  if (options.api !== undefined || options.runtime === 'docker') {
    if (!options.check) return (await import('../remote-run.js')).runRemote(path, options);
  } else if (options.detach) {
    throw new TierbedError('usage', '--detach needs an orchestrator that goes on without this command', {
      fix: 'Add --runtime docker, or --api URL.',
    });
  }
  // Loaded here: every other command would pay for it otherwise, and each node is a command.
  const orchestrator = await import('../../services/orchestrator/index.js');
  const progress = createProgress(process.stderr, { quiet: options.quiet === true });
  const { signal, dispose } = stopSignal();
  try {
    const file = await orchestrator.loadStudy(path, { scale: options.scale });
    if (options.check) {
      const plan = orchestrator.planFile(await orchestrator.resolveStudy(file, progress, signal));
      process.stdout.write(options.json ? json(plan) : orchestrator.planTable(file, plan));
      return;
    }
    const { out, resume } = options;
    const runtime = orchestrator.findRuntime(options.runtime);
    if (resume !== undefined) await (await import('../remote-folder.js')).assertLocal(resume);
    const { summary, folder } = await orchestrator.runStudy(file, { out, resume, runtime, progress, signal });
    process.stdout.write(options.json ? json(summary) : await runReport(summary, folder));
  } finally {
    dispose();
  }
}

function scaleFactor(value: string): number {
  const factor = Number(value);
  if (factor > 0 && factor <= 64) return factor;
  throw new InvalidArgumentError('give a number above 0, 64 at most');
}
