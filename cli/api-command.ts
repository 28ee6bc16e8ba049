import type { Command } from 'commander';
import type { ApiClient } from '../services/api-client/index.js';
import { type ApiFlags, addApiOptions } from './api-options.js';

/** What every command that asks the orchestrator takes. */
export interface ApiCommandFlags extends ApiFlags {
  readonly json?: boolean;
}

/** Adds such a command below another one. */
export function apiCommand(parent: Command, usage: string, description: string): Command {
  return addApiOptions(parent.command(usage).description(description)).option('--json', 'print JSON');
}

/** The orchestrator that the flags lead to. @throws TierbedError as `connectApi` */
export async function connectTo(flags: ApiFlags, signal?: AbortSignal): Promise<ApiClient> {
  // Loaded here: the help of a command needs none of it.
  const { connectApi } = await import('../services/api-client/index.js');
  return connectApi(flags, signal);
}
