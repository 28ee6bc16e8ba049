import type { Command } from 'commander';

/** How a command finds the orchestrator. */
export interface ApiFlags {
  readonly api?: string;
  readonly token?: string;
}

/** The two options that every command of the orchestrator's takes. */
export function addApiOptions(command: Command): Command {
  return command
    .option('--api <url>', 'the orchestrator (default: TIERBED_API, else http://127.0.0.1:7070)')
    .option('--token <token>', 'its token (default: TIERBED_TOKEN, else read where it runs on this machine)');
}
