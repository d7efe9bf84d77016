/**
 * A cgroup's counters, from the files of version 1 (a tree for each controller) or 2 (one tree). They are files of the kernel's, not of a disk: read at once
 * they cost a few microseconds each, and waiting for them would cost more.
 * See https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/admin-guide/cgroup-v1/
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupDetails, MemoryUsage } from './usage.ts';

export interface CgroupCounters {
  readonly cpuNanoseconds: number;
  readonly memory: Omit<MemoryUsage, 'timeMs'>;
}

export interface CgroupReader {
  /** Undefined for a cgroup that is not there. `path` is below the mount point, from `/`. */
  counters(path: string): CgroupCounters | undefined;
  details(path: string): CgroupDetails | undefined;
  /** A process in it, if there is one. */
  process(path: string): number | undefined;
}

/** A limit from here on is none: version 1 writes the largest number of pages. */
const noLimitFromBytes = 2 ** 60;
/** `USER_HZ`: the unit of `cpuacct.stat`. */
const nanosecondsPerTick = 10_000_000;

export function cgroupReader(mountpoint = '/sys/fs/cgroup'): CgroupReader {
  return existsSync(join(mountpoint, 'cgroup.controllers')) ? unifiedReader(mountpoint) : legacyReader(mountpoint);
}

function unifiedReader(mountpoint: string): CgroupReader {
  const file = (path: string, name: string): string | undefined => textOf(join(mountpoint, path, name));
  return {
    counters(path) {
      const cpu = file(path, 'cpu.stat');
      const usage = file(path, 'memory.current');
      if (cpu === undefined || usage === undefined) return undefined;
      const stat = pairsOf(file(path, 'memory.stat'));
      const usageBytes = Number(usage);
      return {
        cpuNanoseconds: numberIn(pairsOf(cpu), 'usage_usec') * 1000,
        memory: {
          usageBytes,
          workingSetBytes: Math.max(0, usageBytes - numberIn(stat, 'inactive_file')),
          rssBytes: numberIn(stat, 'anon'),
          pageFaults: numberIn(stat, 'pgfault'),
          majorPageFaults: numberIn(stat, 'pgmajfault'),
          limitBytes: limitOf(file(path, 'memory.max')),
        },
      };
    },
    details(path) {
      const cpu = pairsOf(file(path, 'cpu.stat'));
      const stat = pairsOf(file(path, 'memory.stat'));
      const events = pairsOf(file(path, 'memory.events'));
      const [quota = 'max', period = '100000'] = (file(path, 'cpu.max') ?? '').split(' ');
      return {
        userNanoseconds: numberIn(cpu, 'user_usec') * 1000,
        systemNanoseconds: numberIn(cpu, 'system_usec') * 1000,
        periods: numberIn(cpu, 'nr_periods'),
        throttledPeriods: numberIn(cpu, 'nr_throttled'),
        throttledNanoseconds: numberIn(cpu, 'throttled_usec') * 1000,
        cacheBytes: numberIn(stat, 'file'),
        mappedFileBytes: numberIn(stat, 'file_mapped'),
        swapBytes: Number(file(path, 'memory.swap.current') ?? 0),
        maxUsageBytes: Number(file(path, 'memory.peak') ?? 0),
        failures: numberIn(events, 'max'),
        oomKills: numberIn(events, 'oom_kill'),
        processes: Number(file(path, 'pids.current') ?? 0),
        cpuShares: sharesOf(Number(file(path, 'cpu.weight') ?? 100)),
        cpuPeriodMicroseconds: Number(period),
        cpuQuotaMicroseconds: quota === 'max' || quota === '' ? undefined : Number(quota),
      };
    },
    process: (path) => firstProcess(file(path, 'cgroup.procs')),
  };
}

function legacyReader(mountpoint: string): CgroupReader {
  const file = (controller: string, path: string, name: string): string | undefined => textOf(join(mountpoint, controller, path, name));
  return {
    counters(path) {
      const cpu = file('cpuacct', path, 'cpuacct.usage');
      const usage = file('memory', path, 'memory.usage_in_bytes');
      if (cpu === undefined || usage === undefined) return undefined;
      const stat = pairsOf(file('memory', path, 'memory.stat'));
      const usageBytes = Number(usage);
      return {
        cpuNanoseconds: Number(cpu),
        memory: {
          usageBytes,
          workingSetBytes: Math.max(0, usageBytes - numberIn(stat, 'total_inactive_file')),
          rssBytes: numberIn(stat, 'total_rss'),
          pageFaults: numberIn(stat, 'total_pgfault'),
          majorPageFaults: numberIn(stat, 'total_pgmajfault'),
          limitBytes: limitOf(file('memory', path, 'memory.limit_in_bytes')),
        },
      };
    },
    details(path) {
      const ticks = pairsOf(file('cpuacct', path, 'cpuacct.stat'));
      const cpu = pairsOf(file('cpu', path, 'cpu.stat'));
      const stat = pairsOf(file('memory', path, 'memory.stat'));
      const quota = Number(file('cpu', path, 'cpu.cfs_quota_us') ?? -1);
      return {
        userNanoseconds: numberIn(ticks, 'user') * nanosecondsPerTick,
        systemNanoseconds: numberIn(ticks, 'system') * nanosecondsPerTick,
        periods: numberIn(cpu, 'nr_periods'),
        throttledPeriods: numberIn(cpu, 'nr_throttled'),
        throttledNanoseconds: numberIn(cpu, 'throttled_time'),
        cacheBytes: numberIn(stat, 'total_cache'),
        mappedFileBytes: numberIn(stat, 'total_mapped_file'),
        swapBytes: numberIn(stat, 'total_swap'),
        maxUsageBytes: Number(file('memory', path, 'memory.max_usage_in_bytes') ?? 0),
        failures: Number(file('memory', path, 'memory.failcnt') ?? 0),
        oomKills: numberIn(pairsOf(file('memory', path, 'memory.oom_control')), 'oom_kill'),
        processes: Number(file('pids', path, 'pids.current') ?? 0),
        cpuShares: Number(file('cpu', path, 'cpu.shares') ?? 1024),
        cpuPeriodMicroseconds: Number(file('cpu', path, 'cpu.cfs_period_us') ?? 100_000),
        cpuQuotaMicroseconds: quota < 0 ? undefined : quota,
      };
    },
    process: (path) => firstProcess(file('memory', path, 'cgroup.procs')),
  };
}

/** `name value` on each line. */
export function pairsOf(text: string | undefined): ReadonlyMap<string, number> {
  const pairs = new Map<string, number>();
  for (const line of text?.split('\n') ?? []) {
    const space = line.indexOf(' ');
    if (space > 0) pairs.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return pairs;
}

function numberIn(pairs: ReadonlyMap<string, number>, name: string): number {
  return pairs.get(name) ?? 0;
}

function limitOf(text: string | undefined): number | undefined {
  const limit = Number(text ?? 'max');
  return Number.isFinite(limit) && limit < noLimitFromBytes ? limit : undefined;
}

/** Version 1's shares for version 2's weight. */
function sharesOf(weight: number): number {
  return Math.round(2 + ((weight - 1) * 262_142) / 9999);
}

function firstProcess(text: string | undefined): number | undefined {
  const pid = Number(text?.split('\n')[0] ?? 0);
  return pid > 0 ? pid : undefined;
}

/** Undefined for a file that is not there, or not any more: a container may end between two reads. */
export function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
