import type Docker from 'dockerode';
import { PROJECT_LABEL, SERVICE_LABEL } from './project.js';

/** What the orchestrator gets to see of the engine's answers: what it needs, and no environment variables or paths. */

export function shortList(containers: readonly Docker.ContainerInfo[]): unknown {
  return containers.map(({ Id, Names, State, Status, Created, Labels }) => ({
    Id,
    Names,
    State,
    Status,
    Created,
    Labels: shortLabels(Labels),
  }));
}

export function shortInspection({
  Id,
  Name,
  Image,
  Created,
  RestartCount,
  ...info
}: Docker.ContainerInspectInfo): unknown {
  const { State: state, Config: config, HostConfig: host, NetworkSettings: network } = info;
  return {
    Id,
    Name,
    Image,
    Created,
    RestartCount,
    State: {
      Status: state.Status,
      Running: state.Running,
      Paused: state.Paused,
      Restarting: state.Restarting,
      OOMKilled: state.OOMKilled,
      Dead: state.Dead,
      ExitCode: state.ExitCode,
      Error: state.Error,
      StartedAt: state.StartedAt,
      FinishedAt: state.FinishedAt,
      ...(state.Health && { Health: { Status: state.Health.Status, FailingStreak: state.Health.FailingStreak } }),
    },
    Config: { Image: config.Image, Labels: shortLabels(config.Labels) },
    HostConfig: {
      CpuPeriod: host.CpuPeriod,
      CpuQuota: host.CpuQuota,
      CpuShares: host.CpuShares,
      NanoCpus: host.NanoCpus,
      CpusetCpus: host.CpusetCpus,
      Memory: host.Memory,
      MemorySwap: host.MemorySwap,
      PidsLimit: host.PidsLimit,
    },
    NetworkSettings: {
      Networks: Object.fromEntries(
        Object.entries(network.Networks ?? {}).map(([name, { IPAddress }]) => [name, { IPAddress }]),
      ),
    },
  };
}

export function shortStats(stats: Docker.ContainerStats): unknown {
  const { read, preread, pids_stats, cpu_stats, precpu_stats, memory_stats, networks } = stats;
  return { read, preread, pids_stats, cpu_stats, precpu_stats, memory_stats, networks };
}

export function shortVersion({
  Version,
  ApiVersion,
  MinAPIVersion,
  Os,
  Arch,
  KernelVersion,
}: Docker.DockerVersion): unknown {
  return { Version, ApiVersion, MinAPIVersion, Os, Arch, KernelVersion };
}

function shortLabels(labels: Readonly<Record<string, string>> | null | undefined): Record<string, string> {
  return Object.fromEntries(
    [PROJECT_LABEL, SERVICE_LABEL].flatMap((label) => (labels?.[label] === undefined ? [] : [[label, labels[label]]])),
  );
}
