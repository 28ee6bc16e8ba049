import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Circumstances, decide } from '../../../services/gate/decide.js';
import { parseFlatJson } from '../../../services/gate/flat-json.js';
import { parseLimits } from '../../../services/gate/limits.js';
import { memberNamed, membersOf } from '../../../services/gate/project.js';
import { printable } from '../../../services/gate/request.js';

const capacity = { cpus: 2, memoryBytes: 8 * 2 ** 30 };
const circumstances: Circumstances = { project: 'bed', hosts: new Set(['gate:7071']), capacity };

function judge(method: string, target: string, body = '', headers: readonly string[] = []) {
  const length = body === '' ? [] : ['Content-Length', `${body.length}`];
  const request = { method, target, rawHeaders: ['Host', 'gate:7071', ...length, ...headers], body: Buffer.from(body) };
  const decision = decide(request, circumstances);
  return decision.allowed ? decision.call : decision.why;
}

describe('decide', () => {
  test('puts what is allowed in words of its own', () => {
    assert.deepEqual(judge('GET', '/v1.41/containers/json?all=true'), { name: 'list' });
    assert.deepEqual(judge('GET', '/containers/edge/json'), { name: 'inspect', target: 'edge' });
    assert.deepEqual(judge('POST', '/containers/mobile-link/restart?t=3'), {
      name: 'restart',
      target: 'mobile-link',
      graceS: 3,
    });
    assert.deepEqual(judge('POST', '/containers/edge/restart'), { name: 'restart', target: 'edge', graceS: undefined });
    assert.deepEqual(judge('POST', '/containers/edge/kill?signal=SIGTERM'), {
      name: 'kill',
      target: 'edge',
      signal: 'SIGTERM',
    });
    assert.deepEqual(judge('POST', '/v1.41/containers/edge/update', ' { "CpuPeriod" : 5000 , "CpuQuota":2500 } '), {
      name: 'update',
      target: 'edge',
      limits: { CpuPeriod: 5000, CpuQuota: 2500 },
    });
  });

  test('says why not', () => {
    assert.match(String(judge('POST', '/containers/create', '{}')), /not among the calls/);
    assert.match(String(judge('PUT', '/containers/edge/json')), /not with the method PUT/);
    assert.match(String(judge('GET', '/containers/%65dge/json')), /encoded/);
    assert.match(String(judge('GET', '/containers/../json')), /not plain/);
    assert.match(String(judge('GET', 'http://gate:7071/info')), /not a path/);
    assert.match(String(judge('GET', '/info', '', ['Upgrade', 'tcp'])), /header upgrade/);
    assert.match(String(judge('GET', '/info', '', ['host', 'gate:7071'])), /host comes twice/);
    assert.match(String(judge('GET', '/info', '', ['Connection', 'Upgrade'])), /may not become another/);
    assert.match(String(judge('GET', '/info', '', ['Content-Length', '1e3'])), /plain number/);
    assert.match(String(judge('GET', '/info', '{}')), /GET with a body/);
    assert.match(String(judge('POST', '/containers/edge/update', `${' '.repeat(5000)}{}`)), /more than 4096 bytes/);
    assert.match(String(judge('POST', '/containers/edge/kill?signal=SIGSEGV')), /SIGKILL, SIGTERM/);
    assert.match(String(judge('GET', '/containers/Edge/json')), /neither the id/);
  });
});

test('flat JSON is read as JSON.parse reads it, and nothing else is read at all', () => {
  for (const text of ['{}', ' {\t}\n', '{"a":1,"b":-20,"c":"SIGKILL","d":true , "e" : false}', '{"a":0,"b":""}']) {
    assert.deepEqual(Object.fromEntries(parseFlatJson(text) ?? []), JSON.parse(text), text);
  }
  const others = ['', '{', '[]', '1', '{"a":1,}', '{"a":1 "b":2}', '{"a":01}', '{"a":1.5}', '{"a":1e3}', '{"a":{}}'];
  const more = [
    '{"a":[1]}',
    '{"a":null}',
    '{"a":1,"a":2}',
    '{"\\u0061":1}',
    '{"a":"\\n"}',
    '{"__proto__":1}',
    '{"a":1}x',
  ];
  for (const text of [...others, ...more, '{"a":99999999999999999}', "{'a':1}", '{a:1}', '\u2028{}']) {
    assert.equal(parseFlatJson(text), undefined, text);
  }
});

test('limits have bounds, both of which are within', () => {
  const parse = (limits: Record<string, number>) => parseLimits(new Map(Object.entries(limits)), capacity);
  const edges: Record<string, readonly [number, number]> = {
    CpuPeriod: [1000, 1_000_000],
    CpuQuota: [1000, 2_000_000],
    Memory: [6 * 2 ** 20, 8 * 2 ** 30],
    MemorySwap: [6 * 2 ** 20, 16 * 2 ** 30],
  };
  for (const [key, [least, most]] of Object.entries(edges)) {
    assert.deepEqual(parse({ [key]: least }), { [key]: least });
    assert.deepEqual(parse({ [key]: most }), { [key]: most });
    assert.match(String(parse({ [key]: least - 1 })), /within/);
    assert.match(String(parse({ [key]: most + 1 })), /within/);
  }
  assert.match(String(parse({ NanoCpus: 1 })), /NanoCpus is not a limit/);
  assert.match(String(parse({ Memory: 2 ** 28, toString: 1 })), /toString is not a limit/);
});

test('a container is meant by its whole id, its short id or its service, and is of the project', () => {
  const labels = (project: string, service: string, more = {}) => ({
    'com.docker.compose.project': project,
    'com.docker.compose.service': service,
    'com.docker.compose.config-hash': 'f00d',
    ...more,
  });
  const ofImage = { 'com.docker.compose.project': 'bed', 'com.docker.compose.service': 'edge' };
  const edge = { Id: 'ab'.repeat(32), Labels: labels('bed', 'edge') };
  const listed = [
    edge,
    { Id: 'cd'.repeat(32), Labels: labels('bed2', 'cloud') },
    { Id: 'ef'.repeat(32), Labels: labels('bed', 'cloud', { 'com.docker.compose.oneoff': 'True' }) },
    { Id: '01'.repeat(32), Labels: null },
    { Id: '23'.repeat(32), Labels: labels('bed', 'mobile') },
    { Id: '45'.repeat(32), Labels: labels('bed', 'mobile') },
    { Id: '67'.repeat(32), Labels: labels('bed', 'gate') },
    { Id: '89'.repeat(32), Labels: ofImage },
  ];
  assert.deepEqual(
    membersOf(listed, 'bed').map(({ Id }) => Id.slice(0, 2)),
    ['ab', '23', '45', '67'],
  );
  const id = edge.Id;
  for (const name of [id, id.slice(0, 12), 'edge']) {
    assert.deepEqual(memberNamed(name, listed, 'bed'), { id, service: 'edge' });
  }
  for (const name of [
    id.slice(0, 13),
    id.slice(0, 63),
    'cloud',
    'cd'.repeat(32),
    '01'.repeat(32),
    '89'.repeat(32),
    '',
  ]) {
    assert.match(String(memberNamed(name, listed, 'bed')), /has no container/, name);
  }
  assert.match(String(memberNamed('mobile', listed, 'bed')), /has 2 containers/);
  assert.match(String(memberNamed('gate', listed, 'bed')), /nothing may be done/);
});

test('what goes into the log is short and printable', () => {
  assert.equal(printable('a\nb\u0000c\u00e9\u001b[31m'), 'a?b?c??[31m');
  assert.equal(printable('x'.repeat(300)).length, 203);
});
