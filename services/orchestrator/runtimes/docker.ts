import { openAgentLinks } from '../../link/agent-links.js';
import type { LinkSettings } from '../../link/types.js';
import { resolveStandingLinks } from '../standing-links.js';
import { loadTiers } from '../tiers.js';
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
  /** Only one of them may watch the containers and hold the links. */
  const letStandingGo = async (): Promise<void> => {
    const before = standing;
    standing = undefined;
    await before?.then(
      (testbed) => testbed.close(),
      () => {},
    );
  };
  return {
    name: 'docker',
    linkTolerance: { ms: 0.5, percent: 2 },
    checkTiers: (tiers) => tierProblem(tiers, parts().host),
    async open(request, progress, signal): Promise<Testbed> {
      await letStandingGo();
      return DockerTestbed.open(parts(), request, progress, signal, standingLinks());
    },
    async standing(progress, signal): Promise<Testbed> {
      const links = standingLinks();
      standing ??= DockerTestbed.open(parts(), { tiers: loadTiers(), links }, progress, signal, links);
      const opening = standing;
      try {
        const testbed = await opening;
        await testbed.look();
        if (testbed.lost()) await testbed.recover(signal, progress);
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
