import { readFile } from 'node:fs/promises';
import { arch, availableParallelism, cpus, freemem, hostname, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { kernelFacts } from '../../../base/kernel.js';
import { packageRoot, version } from '../../../base/paths.js';
import { readCpuQuota } from '../../node/cgroup.js';
import type { DeployedStage } from '../run/deploy.js';
import type { Interruption, Testbed } from '../runtimes/runtime.js';
import type { ResolvedStudy } from '../study/resolve.js';
import { scaledTiers } from '../study/study.js';
import { type Calibration, calibrationNotes } from '../tiers/calibration.js';
import { TIER_NAMES } from '../tiers/tiers.js';

/** Packages whose versions shape the figures. */
const PACKAGES = ['onnxruntime-node', 'onnxruntime-web', '@grpc/grpc-js', 'protobufjs', 'sharp'];

const RELAYED =
  'the links are relays of TCP streams (proxy): lost packets, what TCP sends again, and how its congestion control ' +
  'takes the delay and the queue of a link are not in these figures; on the docker runtime netem and nfqueue show them';

/** What a run, or a resumed part of it, ran on: an entry of environment.json's `runs`. */
export interface RunEnvironment {
  readonly time: string;
  /** What the runtime could not do that was asked for; what about the machine may disturb the figures. */
  readonly notes: readonly string[];
  /** What was lost meanwhile and came back. */
  readonly interruptions?: readonly Interruption[];
  readonly [key: string]: unknown;
}

/** What a run ran on: one record when it begins, and one more for each time that it is resumed. */
export async function describeRun(
  study: ResolvedStudy,
  testbed: Testbed,
  deployments: readonly DeployedStage[],
  runtime: string,
  calibrations: readonly Calibration[],
): Promise<RunEnvironment> {
  const load = loadavg()[0] ?? 0;
  const busy = `the machine was busy when the run began: load ${load.toFixed(1)} on ${cpus().length} cores`;
  const { scale } = study.file.study;
  const tiers = scaledTiers(study.file.study);
  const held = await testbed.describeTiers?.();
  const shapers = await testbed.links.shapers?.();
  return {
    notes: [
      ...(scale === 1 ? [] : [`the CPUs and the memory of all tiers are scaled by ${scale}`]),
      ...testbed.notes,
      ...(testbed.links.driver.name === 'proxy' ? [RELAYED] : []),
      ...(shapers ?? []).flatMap(({ tier, notes }) => notes.map((note) => `the link agent of ${tier}: ${note}`)),
      ...calibrationNotes(calibrations),
      ...(load > cpus().length ? [busy] : []),
    ],
    time: new Date().toISOString(),
    tierbed: version,
    runtime,
    host: await describeHost(),
    scale,
    tiers: TIER_NAMES.map((tier) => ({
      tier,
      asked: tiers[tier],
      ...(held && { atBegin: held[tier] }),
      calibration: calibrations.find((calibration) => calibration.tier === tier),
    })),
    links: { ...testbed.links.driver, ...(shapers && { agents: shapers }) },
    packages: Object.fromEntries(await Promise.all(PACKAGES.map(async (name) => [name, await packageVersion(name)]))),
    workloads: study.workloads.map(({ workload, items }) => ({ name: workload.name, items: items.length })),
    models: study.strategies
      .filter((s, i, all) => all.findIndex((t) => t.workload === s.workload && t.recipe === s.recipe) === i)
      .map(({ workload, recipe, variant }) => ({
        workload,
        recipe,
        stages: variant.stages.map(({ files }) => files.map(({ name, sha256, bytes }) => ({ name, sha256, bytes }))),
      })),
    nodes: TIER_NAMES.map((tier) => {
      const { description } = testbed.nodes[tier];
      return { tier, pid: description.pid, ...(JSON.parse(description.environmentJson || '{}') as object) };
    }),
    deployments,
  };
}

/** What is to be added when a run, or a part of it, is over. */
export async function describeEnd(testbed: Testbed): Promise<Partial<RunEnvironment>> {
  const interruptions = testbed.interruptions?.() ?? [];
  const held = await testbed.describeTiers?.();
  return {
    ...(interruptions.length > 0 && { interruptions }),
    ...(held && { tiersAtEnd: TIER_NAMES.map((tier) => ({ tier, ...held[tier] })) }),
  };
}

async function describeHost(): Promise<Record<string, unknown>> {
  return {
    name: hostname(),
    cpuModel: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    coresAvailable: availableParallelism(),
    quota: readCpuQuota() ?? null,
    governor: await firstLine('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'),
    ...(await kernelFacts()),
    arch: arch(),
    node: process.version,
    memoryBytes: totalmem(),
    memoryFreeBytes: freemem(),
    loadAverage: loadavg(),
  };
}

async function firstLine(path: string): Promise<string | null> {
  return readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => null,
  );
}

async function packageVersion(name: string): Promise<string | null> {
  const text = await firstLine(join(packageRoot, 'node_modules', name, 'package.json'));
  return text === null ? null : (JSON.parse(text) as { version: string }).version;
}
