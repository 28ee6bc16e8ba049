import { ComposeTestbed } from './compose-testbed.js';

/**
 * The testbed of the tests in test/docker: `npm run test:docker` takes it down before and after all of them. Its names,
 * addresses and ports are its own, and so is its image: a user's testbed beside it is not touched.
 */
export function sharedTestbed(): ComposeTestbed {
  return new ComposeTestbed({
    project: process.env.TIERBED_TEST_PROJECT ?? 'tierbed-test',
    net: process.env.TIERBED_TEST_NET ?? '10.213',
    apiPort: Number(process.env.TIERBED_TEST_API_PORT ?? 27_070),
    prometheusPort: Number(process.env.TIERBED_TEST_PROMETHEUS_PORT ?? 27_090),
    image: 'tierbed-test',
  });
}

/** The same, up and with nothing left of the test before: no fault, the links and limits of a testbed without a study. */
export async function openTestbed(): Promise<ComposeTestbed> {
  const testbed = sharedTestbed();
  // A service that a fault made unhealthy is so until its next check: Compose does not wait for that.
  await testbed.eventually('a testbed that is healthy', async () => {
    await testbed.up();
    return true;
  });
  await resetTestbed(testbed);
  return testbed;
}

export async function resetTestbed(testbed: ComposeTestbed): Promise<void> {
  const { active } = await testbed.json<{ active: readonly { id: string }[] }>('fault', 'list');
  for (const { id } of active) await testbed.must('fault', 'stop', id);
  for (const [link, settings] of Object.entries(STANDING)) {
    await testbed.must('link', 'up', link);
    await testbed.must('link', 'set', link, '--direction', 'both', ...settings);
  }
}

/** As tiers/testbed.yaml. */
const NO_TROUBLE = ['--jitter-ms', '0', '--loss-pct', '0'];
const STANDING = {
  'mobile-edge': ['--rate-mbps', '50', '--delay-ms', '5', '--queue-bytes', '655360', ...NO_TROUBLE],
  'edge-cloud': ['--rate-mbps', '20', '--delay-ms', '15', '--queue-bytes', '262144', ...NO_TROUBLE],
};
