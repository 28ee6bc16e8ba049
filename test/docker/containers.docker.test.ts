import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { ComposeTestbed, ContainerDetails } from '../support/compose-testbed.js';
import { openTestbed } from '../support/shared-testbed.js';

const TIERS = ['mobile', 'edge', 'cloud'];
const AGENTS = TIERS.map((tier) => `${tier}-link`);
const SERVICES = [...TIERS, ...AGENTS, 'orchestrator', 'gate', 'prometheus'];
const MAX_IMAGE_BYTES = 200e6;

let testbed: ComposeTestbed;
const containers = new Map<string, ContainerDetails>();

before(async () => {
  testbed = await openTestbed();
  for (const service of SERVICES) containers.set(service, await testbed.inspect(service));
});

test('there are these containers and no others, and every one is healthy', async () => {
  const listed = (await testbed.compose('ps', '--all', '--services')).trim().split('\n');
  assert.deepEqual(listed.sort(), [...SERVICES].sort());
  for (const [service, { State }] of containers) assert.equal(State.Health?.Status, 'healthy', service);
});

test('each runs as who it must be, with no right that it does not need', async () => {
  for (const [service, { Config, HostConfig }] of containers) {
    assert.equal(HostConfig.ReadonlyRootfs, true, `${service}: root file system`);
    assert.equal(HostConfig.Privileged, false, service);
    assert.deepEqual(HostConfig.CapDrop, ['ALL'], `${service}: capabilities dropped`);
    const added = (HostConfig.CapAdd ?? []).map((name) => name.replace('CAP_', '')).sort();
    assert.deepEqual(added, AGENTS.includes(service) ? ['NET_ADMIN', 'NET_RAW'] : [], `${service}: capabilities`);
    assert.ok(HostConfig.SecurityOpt?.includes('no-new-privileges:true'), `${service}: privileges`);
    assert.equal(HostConfig.PidsLimit, 256, `${service}: processes`);
    if (service !== 'prometheus') {
      assert.equal(Config.User, [...AGENTS, 'gate'].includes(service) ? 'root' : 'node', `${service}: user`);
    }
  }
});

test('what the kernel says of them is the same', async () => {
  for (const [service, { State }] of containers) {
    const status = await testbed.processStatus(State.Pid);
    const root = [...AGENTS, 'gate'].includes(service);
    assert.equal(status.Uid?.split(/\s+/)[0] === '0', root, `${service}: user`);
    // NET_ADMIN is bit 12, NET_RAW bit 13.
    const rights = AGENTS.includes(service) ? 0x3000n : 0n;
    for (const set of ['CapBnd', ...(root ? ['CapEff'] : [])]) {
      assert.equal(BigInt(`0x${status[set]}`), rights, `${service}: ${set}`);
    }
    if (!root) assert.equal(BigInt(`0x${status.CapEff}`), 0n, `${service}: CapEff`);
    assert.equal(status.NoNewPrivs, '1', service);
  }
});

test('the gate alone has the Docker socket', () => {
  for (const [service, { Mounts, HostConfig }] of containers) {
    const socket = JSON.stringify([Mounts, HostConfig.Binds]).includes('docker.sock');
    assert.equal(socket, service === 'gate', service);
  }
});

test('a tier has no network but that of its agent', () => {
  for (const tier of TIERS) {
    const agent = containers.get(`${tier}-link`)?.Id;
    assert.equal(containers.get(tier)?.HostConfig.NetworkMode, `container:${agent}`);
  }
});

test('ports are published on loopback alone, of orchestrator and Prometheus', () => {
  for (const [service, { HostConfig }] of containers) {
    const ports = Object.entries(HostConfig.PortBindings ?? {});
    const expected = service === 'orchestrator' ? ['7070/tcp'] : service === 'prometheus' ? ['9090/tcp'] : [];
    assert.deepEqual(
      ports.map(([port]) => port),
      expected,
      service,
    );
    for (const [, bindings] of ports) for (const { HostIp } of bindings) assert.equal(HostIp, '127.0.0.1', service);
  }
});

test('the root file system takes no file', async () => {
  for (const service of [...TIERS, ...AGENTS, 'orchestrator', 'gate']) {
    const touch = 'if touch /opt/tierbed/x 2>/dev/null || touch /usr/bin/x 2>/dev/null; then echo written; fi';
    assert.equal(await testbed.compose('exec', '-T', service, 'bash', '-c', touch), '', service);
  }
});

test('the image is at most 200 MB larger than the one that it is built on', async (t) => {
  const size = async (image: string): Promise<number> =>
    Number((await testbed.exec('docker', ['image', 'inspect', '--format', '{{.Size}}', image])).stdout);
  const base = process.env.TIERBED_NODE_IMAGE ?? 'node:24-bookworm-slim';
  const added = (await size(testbed.env.TIERBED_IMAGE as string)) - (await size(base));
  t.diagnostic(`${(added / 1e6).toFixed(0)} MB on top of ${base}`);
  assert.ok(added > 0 && added <= MAX_IMAGE_BYTES, `${added} bytes`);
});
