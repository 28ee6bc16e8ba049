import assert from 'node:assert/strict';
import { test } from 'node:test';
import { capacityNotes, tierProblem } from '../../../../../services/orchestrator/runtimes/docker/capacity.js';
import { loadTierPreset, loadTiers, scaleTiers } from '../../../../../services/orchestrator/tiers/tiers.js';

const laptop = { cores: 2, memoryMiB: 7800 };

test('the default tiers fit a laptop with two cores, the study does not and says what does', () => {
  assert.equal(tierProblem(loadTiers(), laptop), undefined);
  assert.deepEqual(capacityNotes(loadTiers(), laptop), []);
  const paper = loadTierPreset('paper');
  const problem = tierProblem(paper, laptop);
  assert.deepEqual([problem?.tier, problem?.key], ['mobile', 'cpus']);
  assert.match(problem?.message ?? '', /mobile asks for 4 CPUs, the host has 2/);
  const [, scale] = /--scale (\S+)/.exec(problem?.fix ?? '') ?? [];
  assert.equal(Number(scale), 0.0625);
  assert.equal(tierProblem(scaleTiers(paper, Number(scale)), laptop), undefined);
  assert.equal(tierProblem(scaleTiers(paper, 2 * Number(scale)), laptop)?.key, 'memoryMiB');
});

test('memory counts as cores do', () => {
  const problem = tierProblem(loadTiers(), { cores: 2, memoryMiB: 1000 });
  assert.deepEqual([problem?.tier, problem?.key], ['edge', 'memoryMiB']);
  assert.match(problem?.message ?? '', /edge asks for 1024 MiB of memory, the host has 1000/);
});

test('tiers that fit one by one and not together are noted', () => {
  const tiers = scaleTiers(loadTiers(), 2);
  assert.equal(tierProblem(tiers, laptop), undefined);
  assert.match(capacityNotes(tiers, laptop).join(), /come to 3.5 CPUs and the host has 2 cores/);
  assert.match(
    capacityNotes(loadTiers(), { cores: 2, memoryMiB: 3000 }).join(),
    /3584 MiB of memory and the host has 3000/,
  );
});
