import { TierbedError } from '../../../base/errors.js';
import type { Progress } from '../../../base/progress.js';
import { openAgentLinks } from '../../link/agent-links.js';
import type { LinkSettings } from '../../link/types.js';
import { resolveStandingLinks } from '../study/standing-links.js';
import { loadTiers } from '../tiers/tiers.js';
import { testbedAddresses } from './docker/addresses.js';
import { hostCapacity, tierProblem } from './docker/capacity.js';
import { openGate } from './docker/gate.js';
import { type DockerParts, DockerTestbed } from './docker/testbed.js';
import type { Runtime, Testbed } from './runtime.js';

const DEFAULT_NET = '10.203';
const DEFAULT_GATE = 'http://gate:7071';

/** The containers of compose.yaml; for a process inside one of them. */
export const docker: Runtime = dockerRuntime(partsHere);

/** @param parts asked for at each opening, so that nothing of Docker is touched before */
export function dockerRuntime(
  parts: () => DockerParts,
  standingLinks: () => readonly LinkSettings[] = resolveStandingLinks,
): Runtime {
  let standing: Promise<DockerTestbed> | undefined;
  let mending: Promise<void> | undefined;
  let stopMending = new AbortController();
  /** Testbeds of studies that are being opened, are open, or are being closed. */
  let ofStudies = 0;
  /** Only one of them may watch the containers and hold the links. */
  const letStandingGo = async (): Promise<void> => {
    const before = standing;
    standing = undefined;
    stopMending.abort();
    await mending?.catch(() => {});
    await before?.then(
      (testbed) => testbed.close(),
      () => {},
    );
  };
  /** Whoever asks while it is being mended waits for that. */
  const mend = (testbed: DockerTestbed, progress: Progress, asked: AbortSignal): Promise<void> => {
    if (mending) return mending;
    stopMending = new AbortController();
    const signal = AbortSignal.any([stopMending.signal, asked]);
    mending = (async () => {
      await testbed.look();
      if (testbed.lost() && !signal.aborted) await testbed.recover(signal, progress);
    })().finally(() => {
      mending = undefined;
    });
    return mending;
  };
  return {
    name: 'docker',
    linkTolerance: { ms: 0.5, percent: 2 },
    checkTiers: (tiers) => tierProblem(tiers, parts().host),
    async open(request, progress, signal): Promise<Testbed> {
      ofStudies++;
      try {
        await letStandingGo();
        const testbed = await DockerTestbed.open(parts(), request, progress, signal, standingLinks());
        void testbed.gone.then(() => ofStudies--);
        return testbed;
      } catch (error) {
        ofStudies--;
        throw error;
      }
    },
    busy: () => ofStudies > 0,
    async standing(progress, signal): Promise<Testbed> {
      if (ofStudies > 0) {
        throw new TierbedError('unavailable', 'a study is taking the testbed, or leaving it', {
          fix: 'Try again in a moment.',
        });
      }
      const links = standingLinks();
      standing ??= DockerTestbed.open(parts(), { tiers: loadTiers(), links }, progress, signal, links);
      const opening = standing;
      try {
        const testbed = await opening;
        await mend(testbed, progress, signal);
        return testbed;
      } catch (error) {
        if (standing === opening) standing = undefined;
        throw error;
      }
    },
  };
}

/** As compose.yaml's environment says. */
function partsHere(): DockerParts {
  return {
    gate: openGate(process.env.TIERBED_GATE ?? DEFAULT_GATE),
    addresses: testbedAddresses(process.env.TIERBED_NET ?? DEFAULT_NET),
    openLinks: openAgentLinks,
    host: hostCapacity(),
    connectWithinMs: 60_000,
    recoverWithinMs: 120_000,
    lookEveryMs: 5_000,
  };
}
