import { TierbedError } from '../../base/errors.js';
import { ApiClient, WrongToken } from './client.js';
import { composeEnv } from './compose-env.js';
import { localTokens } from './find-token.js';

export interface ApiChoice {
  /** `--api`; else TIERBED_API, else port TIERBED_API_PORT, of the environment or of Compose's `.env`, or 7070 of this machine. */
  readonly api?: string | undefined;
  /** `--token`; else TIERBED_TOKEN, else that of the service on this machine. */
  readonly token?: string | undefined;
}

/** The address of the orchestrator. @throws TierbedError `usage` when what was given is no address */
export function apiUrl(
  { api }: ApiChoice,
  env: NodeJS.ProcessEnv = process.env,
  ofCompose: () => NodeJS.Dict<string> = composeEnv,
): string {
  const text =
    api ?? env.TIERBED_API ?? `http://127.0.0.1:${env.TIERBED_API_PORT ?? ofCompose().TIERBED_API_PORT ?? 7070}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.pathname !== '/' || url.username !== '') {
    throw new TierbedError('usage', `'${text}' is not the address of an orchestrator`, {
      fix: 'Write it as http://HOST:PORT, e.g. --api http://127.0.0.1:7070.',
    });
  }
  return url.origin;
}

/**
 * Finds the orchestrator and a token that it takes.
 *
 * @throws TierbedError `unavailable` when it does not answer, `refused` when the token or its version is wrong, `cancelled`
 */
export async function connectApi(choice: ApiChoice, signal?: AbortSignal): Promise<ApiClient> {
  const url = apiUrl(choice);
  let refused: WrongToken | undefined;
  for await (const token of tokensFor(url, choice, signal)) {
    const client = new ApiClient(url, token);
    try {
      await client.status(signal);
      return client;
    } catch (error) {
      if (!(error instanceof WrongToken)) throw error;
      refused = error;
    }
  }
  // Nothing fitted, or there was nothing to try: whether it answers at all says which.
  if (!refused) await new ApiClient(url, 'none').status(signal);
  throw refused ?? new TierbedError('internal', `${url} takes any token`);
}

async function* tokensFor(url: string, { token }: ApiChoice, signal: AbortSignal | undefined): AsyncGenerator<string> {
  const given = token ?? process.env.TIERBED_TOKEN;
  if (given !== undefined && given !== '') yield given;
  // A token of this machine's is not shown to another one.
  else if (['127.0.0.1', 'localhost', '[::1]'].includes(new URL(url).hostname)) yield* localTokens(signal);
}
