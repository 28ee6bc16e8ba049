import type { Command } from 'commander';

/** One `tierbed` command: a file in `commands/`, a line in the table of `main.ts`. */
export type RegisterCommand = (program: Command) => void;
