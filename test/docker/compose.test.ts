import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { packageRoot } from '../../base/paths.js';

interface Service {
  readonly image: string;
  readonly build?: unknown;
  readonly user?: string;
  readonly command?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly pids_limit?: number;
  readonly privileged?: boolean;
  readonly network_mode?: string;
  readonly networks?: readonly string[] | Readonly<Record<string, { ipv4_address?: string } | null>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test?: unknown; readonly interval?: string };
  readonly extra_hosts?: readonly string[];
  readonly hostname?: string;
}

interface Compose {
  readonly name: string;
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
}

const file = join(packageRoot, 'compose.yaml');
/** With every variable at its default. */
const text = readFileSync(file, 'utf8').replaceAll(/\$\{[A-Z_]+:-([^}]*)\}/g, '$1');
const { services, networks } = parse(text, { merge: true }) as Compose;
const TIERS = ['mobile', 'edge', 'cloud'];
const AGENTS = TIERS.map((tier) => `${tier}-link`);
const NET = '10.203';

function networksOf(service: string): readonly string[] {
  const { networks: of = [] } = services[service] as Service;
  return (Array.isArray(of) ? [...of] : Object.keys(of)).sort();
}

test('no container may do more than it needs', () => {
  assert.deepEqual(
    Object.keys(services).sort(),
    [...TIERS, ...AGENTS, 'orchestrator', 'gate', 'prometheus', 'grafana'].sort(),
  );
  for (const [name, service] of Object.entries(services)) {
    assert.equal(service.read_only, true, `${name}: root file system`);
    assert.deepEqual(service.cap_drop, ['ALL'], `${name}: capabilities`);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
    assert.ok((service.pids_limit ?? 0) > 0, `${name}: processes`);
    assert.equal(service.privileged, undefined, name);
    assert.ok(service.healthcheck?.test, `${name}: health check`);
    assert.deepEqual(service.cap_add, AGENTS.includes(name) ? ['NET_ADMIN', 'NET_RAW'] : undefined, name);
    const root = [...AGENTS, 'gate'].includes(name);
    if (!['prometheus', 'grafana'].includes(name)) assert.equal(service.user, root ? 'root' : 'node', `${name}: user`);
    const socket = JSON.stringify(service.volumes ?? []).includes('docker.sock');
    assert.equal(socket, name === 'gate', `${name}: the Docker socket`);
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/, `${name}: published on loopback`);
  }
});

test('every name leads to the data plane in a tier, and tensors have no other network', () => {
  for (const tier of TIERS) assert.equal(services[tier]?.network_mode, `service:${tier}-link`);
  assert.deepEqual(networksOf('mobile-link'), ['control', 'mobile-edge']);
  assert.deepEqual(networksOf('edge-link'), ['control', 'edge-cloud', 'mobile-edge']);
  assert.deepEqual(networksOf('cloud-link'), ['control', 'edge-cloud']);
  assert.deepEqual(networksOf('orchestrator'), ['control', 'front', 'gate']);
  assert.deepEqual(networksOf('gate'), ['gate']);
  for (const [name, { internal }] of Object.entries(networks)) assert.equal(internal ?? false, name !== 'front', name);
  const hosts = (service: string) =>
    (services[service]?.extra_hosts ?? []).map((host) => host.replace(NET, 'NET').replace(':', ' '));
  assert.deepEqual(hosts('mobile-link'), ['mobile NET.1.10', 'edge NET.1.20', 'cloud NET.1.30']);
  assert.deepEqual(hosts('edge-link'), ['mobile NET.1.10', 'edge NET.1.20', 'cloud NET.2.30']);
  assert.deepEqual(hosts('cloud-link'), ['mobile NET.2.10', 'edge NET.2.20', 'cloud NET.2.30']);
  const listening = { mobile: ['3.10', '1.10'], edge: ['3.20', '1.20'], cloud: ['3.30', '2.30'] };
  for (const [tier, [control, data]] of Object.entries(listening)) {
    const command = services[tier]?.command ?? [];
    assert.equal(command[command.indexOf('--host') + 1], `${NET}.${control}`);
    assert.equal(command[command.indexOf('--data-host') + 1], `${NET}.${data}`);
  }
});

test('the gate is named by Docker, and one service builds the image that all of ours share', () => {
  assert.equal(services.gate?.hostname, undefined, 'the gate finds itself by its host name');
  const ours = Object.entries(services).filter(([name]) => !['prometheus', 'grafana'].includes(name));
  assert.equal(new Set(ours.map(([, { image }]) => image)).size, 1);
  assert.deepEqual(
    ours.filter(([, { build }]) => build).map(([name]) => name),
    ['orchestrator'],
  );
  // A shorter interval, or Node instead of bash, would take time from what is measured.
  for (const [name, { healthcheck }] of ours) {
    assert.match(String(healthcheck?.test), /^CMD,tierbed-ready,/, name);
    assert.ok(Number.parseInt(healthcheck?.interval ?? '0', 10) >= 5, name);
  }
});

const skip = process.env.TIERBED_DOCKER_TESTS ? false : 'TIERBED_DOCKER_TESTS is not set';
test('docker compose reads it, and warns of nothing', { skip }, () => {
  const { status, stdout, stderr } = spawnSync(
    'docker',
    ['compose', '-f', file, '--profile', 'grafana', 'config', '-q'],
    {
      encoding: 'utf8',
    },
  );
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
});
