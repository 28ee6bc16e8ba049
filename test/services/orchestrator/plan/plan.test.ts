import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawPlan, type PlanRule, planHash, planLength } from '../../../../services/orchestrator/plan/plan.js';

const RULE: PlanRule = {
  seed: 1,
  rounds: 3,
  workloads: [
    { items: 20, strategies: [0, 1, 2, 3] },
    { items: 5, strategies: [4, 5] },
  ],
};

test('every strategy runs once on every item in every round', () => {
  const samples = [...drawPlan(RULE)];
  assert.equal(samples.length, planLength(RULE));
  assert.equal(samples.length, 3 * (20 * 4 + 5 * 2));
  const seen = new Set(samples.map((s) => `${s.round} ${s.workload} ${s.item} ${s.strategy}`));
  assert.equal(seen.size, samples.length);
  assert.deepEqual(
    samples.map((s) => s.sample),
    samples.map((_, i) => i + 1),
  );
  for (const { workload, strategy } of samples) assert.ok(RULE.workloads[workload]?.strategies.includes(strategy));
});

test('strategies are interleaved: a block is one item run by all of them, in an order of its own', () => {
  const blocks = new Map<number, string[]>();
  const strategies = new Map<number, number[]>();
  for (const s of drawPlan(RULE)) {
    blocks.set(s.block, [...(blocks.get(s.block) ?? []), `${s.round} ${s.workload} ${s.item}`]);
    strategies.set(s.block, [...(strategies.get(s.block) ?? []), s.strategy]);
  }
  for (const names of blocks.values()) assert.equal(new Set(names).size, 1);
  const orders = new Set([...strategies.values()].filter((s) => s.length === 4).map((s) => s.join()));
  assert.ok(orders.size > 12, `60 blocks have only ${orders.size} orders of 24`);
  const firsts = [...strategies.values()].filter((s) => s.length === 4).map((s) => s[0]);
  for (const strategy of [0, 1, 2, 3]) assert.ok(firsts.filter((first) => first === strategy).length >= 5);
});

test('items are shuffled anew in every round', () => {
  const itemsOf = (round: number): string =>
    [...new Set([...drawPlan(RULE)].filter((s) => s.round === round).map((s) => `${s.workload}.${s.item}`))].join();
  const orders = [1, 2, 3].map(itemsOf);
  assert.equal(new Set(orders).size, 3);
  assert.equal(orders[0]?.split(',').length, 25);
});

test('the seed alone decides the order, and the hash tells plans apart', () => {
  assert.deepEqual([...drawPlan(RULE)], [...drawPlan({ ...RULE })]);
  assert.equal(planHash(RULE), planHash({ ...RULE }));
  assert.notEqual(planHash(RULE), planHash({ ...RULE, seed: 2 }));
  assert.notEqual(planHash(RULE), planHash({ ...RULE, rounds: 2 }));
  // Fixed for good: a plan that is drawn again must be the same in every version, or no run could be resumed.
  assert.equal(planHash(RULE), '5f4e32cccc5c0f1067636ee522bda0efffc690d99a5360eb122ffd96622ae6b9');
});

test('a plan of a billion samples is drawn as it is needed', () => {
  const rule: PlanRule = {
    seed: 1,
    rounds: 1_000_000,
    workloads: [{ items: 100, strategies: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }],
  };
  const plan = drawPlan(rule);
  for (let i = 1; i <= 5000; i++) assert.equal(plan.next().value?.sample, i);
});
