import { messageOf, TierbedError } from '../../../../base/errors.js';
import { connect } from '../../../rpc/channel.js';
import { NodeClient } from '../../../rpc/node-client.js';
import type { TierName } from '../../tiers/tiers.js';
import type { TestbedNode } from '../runtime.js';

/** A call that only asks is given this long, on a tier with a hundredth of a core too. */
const ASK_WITHIN_MS = 20_000;

/**
 * Connects to the node of a tier and sees that it is that tier's.
 *
 * @throws TierbedError `unavailable` naming the service and the fix; `refused` when another node answers; `cancelled`
 */
export async function connectNode(
  tier: TierName,
  address: string,
  withinMs: number,
  signal: AbortSignal,
): Promise<TestbedNode> {
  const channel = connect(address);
  try {
    await abortable(channel.waitForReady(withinMs), signal);
    const client = new NodeClient(channel);
    const description = await client.describe({ signal, deadlineMs: Date.now() + ASK_WITHIN_MS });
    if (description.tier !== tier) {
      throw new TierbedError(
        'refused',
        `at ${address}, where ${tier} is to be, answers the node of '${description.tier}'`,
        {
          fix: 'Take the testbed down and up again: docker compose down && docker compose up --wait.',
        },
      );
    }
    return { tier, client, description };
  } catch (error) {
    channel.close();
    if (error instanceof TierbedError && (error.kind === 'cancelled' || error.kind === 'refused')) throw error;
    throw new TierbedError('unavailable', `the ${tier} node does not answer at ${address}: ${messageOf(error)}`, {
      fix: `Look at \`docker compose ps ${tier} ${tier}-link\` and \`docker compose logs ${tier}\`; \`docker compose up --wait\` brings it up.`,
      cause: error,
    });
  }
}

async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new TierbedError('cancelled', 'the run was stopped'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    work.catch(() => {});
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}
