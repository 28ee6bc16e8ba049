#!/usr/bin/env node
import { Command } from 'commander';
import { EXIT_CODES, TierbedError } from '../base/errors.js';
import { version } from '../base/paths.js';
import type { RegisterCommand } from './command.js';
import { register as cut } from './commands/cut.js';
import { register as fetch } from './commands/fetch.js';
import { register as inspect } from './commands/inspect.js';
import { register as node } from './commands/node.js';
import { register as run } from './commands/run.js';
import { register as zoo } from './commands/zoo.js';

const COMMANDS: readonly RegisterCommand[] = [run, inspect, cut, zoo, fetch, node];

const program = new Command('tierbed')
  .description('Measures which deployment strategy to ship: mobile, edge, cloud, or cut in two.')
  .version(version)
  .showHelpAfterError('(add --help for usage and examples)')
  .exitOverride();

for (const register of COMMANDS) register(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof TierbedError) {
    process.stderr.write(`tierbed: ${error.message}\n${error.fix ? `  fix: ${error.fix}\n` : ''}`);
    return EXIT_CODES[error.kind];
  }
  if (error instanceof Error && 'exitCode' in error && 'code' in error && String(error.code).startsWith('commander.')) {
    return error.exitCode === 0 ? 0 : EXIT_CODES.usage;
  }
  process.stderr.write(`tierbed: internal error: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
  return EXIT_CODES.internal;
}
