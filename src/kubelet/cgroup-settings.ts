/** Which files of a cgroup say what, for both versions of the kernel's interface: from resources to lines to be written. Pure functions. */
import type { LinuxResources } from './runtime/runtime.ts';

export interface CgroupSetting {
  /** Whose tree the file is in; '' for version 2, which has one. */
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** The amount, where more of it means a wider limit. */
  readonly limit?: number;
}

export interface CgroupLimits extends LinuxResources {
  readonly pids?: number;
}

export function cgroupSettings(unified: boolean, limits: CgroupLimits): readonly CgroupSetting[] {
  return unified ? version2(limits) : version1(limits);
}

function version2({ cpuShares, cpuPeriod, cpuQuota, memoryLimitBytes, pids }: CgroupLimits): readonly CgroupSetting[] {
  const settings: CgroupSetting[] = [];
  const add = (file: string, value: string | number, limit?: number): void => {
    settings.push({ controller: '', file, value: String(value), ...(limit !== undefined && { limit }) });
  };
  if (cpuShares !== undefined) add('cpu.weight', cpuWeight(cpuShares));
  if (cpuQuota !== undefined) add('cpu.max', `${cpuQuota} ${cpuPeriod ?? 100_000}`, cpuQuota);
  if (memoryLimitBytes !== undefined) add('memory.max', memoryLimitBytes, memoryLimitBytes);
  if (pids !== undefined) add('pids.max', pids, pids);
  return settings;
}

function version1({ cpuShares, cpuPeriod, cpuQuota, memoryLimitBytes, pids }: CgroupLimits): readonly CgroupSetting[] {
  const settings: CgroupSetting[] = [];
  const add = (controller: string, file: string, value: number, limit?: number): void => {
    settings.push({ controller, file, value: String(value), ...(limit !== undefined && { limit }) });
  };
  if (cpuShares !== undefined) add('cpu', 'cpu.shares', cpuShares);
  if (cpuQuota !== undefined) {
    if (cpuPeriod !== undefined) add('cpu', 'cpu.cfs_period_us', cpuPeriod);
    add('cpu', 'cpu.cfs_quota_us', cpuQuota, cpuQuota);
  }
  if (memoryLimitBytes !== undefined) add('memory', 'memory.limit_in_bytes', memoryLimitBytes, memoryLimitBytes);
  if (pids !== undefined) add('pids', 'pids.max', pids, pids);
  return settings;
}

/** The limit that a file holds: `200000 100000`, `-1` and `max` for none. */
export function limitIn(text: string): number {
  const first = text.trim().split(' ')[0] ?? '';
  return first === 'max' || first.startsWith('-') ? Infinity : Number(first);
}

/** cgroup v2's weight for v1's shares, as runtimes convert them. */
function cpuWeight(shares: number): number {
  return Math.floor(1 + ((shares - 2) * 9999) / 262_142);
}
