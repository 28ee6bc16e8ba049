#!/usr/bin/env node
import { Command } from 'commander';
import { EXIT_CODES, TierbedError } from '../base/errors.js';
import { disableTelemetry } from '../base/no-telemetry.js';
import { version } from '../base/paths.js';
import type { RegisterCommand } from './command.js';

/** Loaded when they are asked for: a node is not to carry what the other commands need. */
const COMMANDS: Readonly<Record<string, () => Promise<{ readonly register: RegisterCommand }>>> = {
  run: () => import('./commands/run.js'),
  inspect: () => import('./commands/inspect.js'),
  cut: () => import('./commands/cut.js'),
  apply: () => import('./commands/apply.js'),
  explain: () => import('./commands/explain.js'),
  zoo: () => import('./commands/zoo.js'),
  own: () => import('./commands/own.js'),
  fetch: () => import('./commands/fetch.js'),
  node: () => import('./commands/node.js'),
  gate: () => import('./commands/gate.js'),
  'link-agent': () => import('./commands/link-agent.js'),
  up: () => import('./commands/up.js'),
  down: () => import('./commands/down.js'),
  status: () => import('./commands/status.js'),
  logs: () => import('./commands/logs.js'),
  serve: () => import('./commands/serve.js'),
  link: () => import('./commands/link.js'),
  tier: () => import('./commands/tier.js'),
  fault: () => import('./commands/fault.js'),
  study: () => import('./commands/study.js'),
};

disableTelemetry();

const program = new Command('tierbed')
  .description('Measures which deployment strategy to ship: mobile, edge, cloud, or cut in two.')
  .version(version)
  .showHelpAfterError('(add --help for usage and examples)')
  .exitOverride();

const asked = process.argv[2] ?? '';
for (const name of Object.hasOwn(COMMANDS, asked) ? [asked] : Object.keys(COMMANDS)) {
  (await COMMANDS[name]?.())?.register(program);
}

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
