import assert from 'node:assert/strict';
import { test } from 'node:test';
import { segmentsAtOnce } from '../../../../services/link/agent/interfaces.js';
import { agentPlan, agentTier, shapedDirection } from '../../../../services/link/agent/plan.js';
import { filterRules, ipv6Rules, natRules } from '../../../../services/link/agent/rules.js';

const names = {
  control: 'eth3',
  data: new Map([
    ['mobile-edge', 'eth1'],
    ['edge-cloud', 'eth2'],
  ] as const),
};

test('tiers have addresses of each network, and edge those that stand for the tiers behind it', () => {
  const [mobile, edge, cloud] = [agentPlan('mobile', '10.7'), agentPlan('edge', '10.7'), agentPlan('cloud', '10.7')];
  assert.deepEqual(
    [mobile, edge, cloud].map((plan) => plan.controlAddress),
    ['10.7.3.10', '10.7.3.20', '10.7.3.30'],
  );
  assert.deepEqual(mobile.data, [{ link: 'mobile-edge', address: '10.7.1.10', sends: 'up' }]);
  assert.deepEqual(edge.data, [
    { link: 'mobile-edge', address: '10.7.1.20', second: '10.7.1.30', sends: 'down' },
    { link: 'edge-cloud', address: '10.7.2.20', second: '10.7.2.10', sends: 'up' },
  ]);
  assert.deepEqual(cloud.data, [{ link: 'edge-cloud', address: '10.7.2.30', sends: 'down' }]);
  assert.deepEqual(mobile.peers, { edge: '10.7.1.20', cloud: '10.7.1.30' });
  assert.deepEqual(edge.peers, { mobile: '10.7.1.10', cloud: '10.7.2.30' });
  assert.deepEqual(cloud.peers, { mobile: '10.7.2.10', edge: '10.7.2.20' });
  assert.deepEqual([mobile.translations, cloud.translations], [[], []]);
  assert.throws(() => agentPlan('edge', '10.7.1'), { kind: 'invalid' });
  assert.throws(() => agentPlan('edge', '10.999'), { kind: 'invalid' });
  assert.throws(() => agentTier('fog'), { kind: 'usage' });
});

test('each direction of a link falls to one agent, whichever side a driver works on', () => {
  for (const side of ['egress', 'ingress'] as const) {
    const shaped = (['mobile', 'edge', 'cloud'] as const).flatMap((tier) =>
      agentPlan(tier, '10.7').data.map((at) => `${at.link}.${shapedDirection(at, side)} by ${tier}`),
    );
    assert.deepEqual(
      shaped,
      side === 'ingress'
        ? ['mobile-edge.down by mobile', 'mobile-edge.up by edge', 'edge-cloud.down by edge', 'edge-cloud.up by cloud']
        : ['mobile-edge.up by mobile', 'mobile-edge.down by edge', 'edge-cloud.up by edge', 'edge-cloud.down by cloud'],
    );
  }
});

test('packets between mobile and cloud are translated both ways, one to one', () => {
  assert.deepEqual(natRules(agentPlan('edge', '10.7'), names, 8001), {
    'TIERBED-PREROUTING': [
      '-i eth2 -d 10.7.2.20 -p tcp --dport 8001 -j DNAT --to-destination 10.7.1.20',
      '-i eth1 -d 10.7.1.30 -j DNAT --to-destination 10.7.2.30',
      '-i eth2 -d 10.7.2.10 -j DNAT --to-destination 10.7.1.10',
    ],
    'TIERBED-POSTROUTING': [
      '-o eth2 -s 10.7.1.10 -j SNAT --to-source 10.7.2.10',
      '-o eth1 -s 10.7.2.30 -j SNAT --to-source 10.7.1.30',
    ],
  });
});

test('the control network hears its controllers alone, and never on the data port', () => {
  const rules = filterRules(agentPlan('edge', '10.7'), names, 8001, new Set());
  assert.deepEqual(rules['TIERBED-INPUT'], [
    '-i eth1 -d 10.7.3.0/24 -j DROP',
    '-i eth2 -d 10.7.3.0/24 -j DROP',
    '-i eth3 -p tcp --dport 8001 -j DROP',
    '-i eth3 -s 10.7.3.100 -j RETURN',
    '-i eth3 -s 10.7.3.101 -j RETURN',
    '-i eth3 -j DROP',
  ]);
  assert.deepEqual(rules['TIERBED-FORWARD'], ['-i eth3 -j DROP', '-o eth3 -j DROP', '-d 10.7.3.0/24 -j DROP']);
  assert.equal(rules['TIERBED-OUTPUT']?.at(-1), '-o eth3 -j DROP');
});

test('a link that is shut passes nothing, in, out or through', () => {
  const rules = filterRules(agentPlan('edge', '10.7'), names, 8001, new Set(['edge-cloud'] as const));
  assert.ok(rules['TIERBED-INPUT']?.includes('-i eth2 -j DROP'));
  assert.ok(rules['TIERBED-OUTPUT']?.includes('-o eth2 -j DROP'));
  assert.ok(
    rules['TIERBED-FORWARD']?.includes('-i eth2 -j DROP') && rules['TIERBED-FORWARD'].includes('-o eth2 -j DROP'),
  );
  assert.ok(!Object.values(rules).some((list) => list.some((rule) => /eth1 -j DROP/.test(rule))));
  assert.deepEqual(ipv6Rules(['eth1'])['TIERBED-FORWARD'], ['-i eth1 -j DROP', '-o eth1 -j DROP']);
});

test('packets leave in trains only where that changes nothing', () => {
  const settings = { delayMs: 1, jitterMs: 0, queueBytes: 10_000 };
  assert.equal(segmentsAtOnce({ ...settings, rateMbps: 10 }), 1);
  assert.equal(segmentsAtOnce({ ...settings, rateMbps: 1000 }), 9);
  assert.equal(segmentsAtOnce(settings), 65_535);
  assert.equal(segmentsAtOnce({ ...settings, lossPct: 0.1 }), 1);
});
