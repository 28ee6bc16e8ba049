import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQueues } from '../../../../services/link/nfqueue/queue-socket.js';
import { installLines, removeLines } from '../../../../services/link/nfqueue/rules.js';

const HOOK = '-A PREROUTING -i eth0 -j tierbed-eth0';

test('rules are set once, and never let a packet past a shaper that died', () => {
  const lines = installLines('eth0', 21506, ['-P PREROUTING ACCEPT', '-A PREROUTING -i eth01 -j tierbed-eth01']);
  assert.deepEqual(lines, [
    ':tierbed-eth0 - [0:0]',
    '-A tierbed-eth0 -j NFQUEUE --queue-num 21506',
    '-I PREROUTING -i eth0 -j tierbed-eth0',
  ]);
  assert.ok(!lines.join().includes('bypass'));
  assert.deepEqual(installLines('eth0', 5, [HOOK]), [
    ':tierbed-eth0 - [0:0]',
    '-A tierbed-eth0 -j NFQUEUE --queue-num 5',
  ]);
});

test('removing takes every way into the chain, then the chain', () => {
  assert.deepEqual(removeLines('eth0', [HOOK, '-A PREROUTING -i eth1 -j tierbed-eth1', HOOK]), [
    '-D PREROUTING -i eth0 -j tierbed-eth0',
    '-D PREROUTING -i eth0 -j tierbed-eth0',
    '-F tierbed-eth0',
    '-X tierbed-eth0',
  ]);
});

test("the kernel's list of queues says who has each and what it dropped", () => {
  const text = `    0  12345     0 2 65535     1     2       17  1\n21506   4711    12 2     4     3     4     1000  1\n`;
  assert.deepEqual(parseQueues(text), [
    { queue: 0, portId: 12345, droppedPackets: 3 },
    { queue: 21506, portId: 4711, droppedPackets: 7 },
  ]);
  assert.deepEqual(parseQueues(''), []);
});
