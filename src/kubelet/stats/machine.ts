/** What the whole machine uses, from `/proc` and its file systems. A simulated node has none of its own: what its containers use is all there is. */
import { diskSpace } from '../disk-space.ts';
import { type CgroupReader, cgroupReader, pairsOf, textOf } from './cgroup-counters.ts';
import type { FilesystemUsage, InterfaceUsage, MemoryUsage } from './usage.ts';

export interface MachineCounters {
  readonly cpuNanoseconds: number;
  readonly memory: Omit<MemoryUsage, 'timeMs'>;
  readonly memoryBytes: number;
  readonly bootMs: number;
  readonly processes: { readonly limit: number; readonly running: number };
}

export interface Machine {
  readonly cgroups: CgroupReader;
  counters(): MachineCounters;
  /** Of a process's network namespace; of the machine's own without one. */
  interfaces(pid?: number): readonly InterfaceUsage[] | undefined;
  /** The file system a path lies on; undefined when it cannot be asked. */
  filesystem(path: string): Promise<Omit<FilesystemUsage, 'timeMs'> | undefined>;
}

const nanosecondsPerTick = 10_000_000;

export function realMachine(): Machine {
  return {
    cgroups: cgroupReader(),
    counters() {
      const stat = textOf('/proc/stat') ?? '';
      const memory = memoryInfo(textOf('/proc/meminfo') ?? '');
      const faults = pairsOf(textOf('/proc/vmstat'));
      return {
        cpuNanoseconds: busyNanoseconds(stat),
        memoryBytes: memory.total,
        memory: {
          usageBytes: memory.usage,
          workingSetBytes: memory.workingSet,
          rssBytes: memory.rss,
          pageFaults: faults.get('pgfault') ?? 0,
          majorPageFaults: faults.get('pgmajfault') ?? 0,
          limitBytes: undefined,
        },
        bootMs: Number(/^btime (\d+)/m.exec(stat)?.[1] ?? 0) * 1000,
        processes: {
          limit: Number(textOf('/proc/sys/kernel/pid_max') ?? 0),
          running: Number(/\/(\d+)/.exec(textOf('/proc/loadavg') ?? '')?.[1] ?? 0),
        },
      };
    },
    interfaces(pid) {
      const text = textOf(pid === undefined ? '/proc/net/dev' : `/proc/${pid}/net/dev`);
      return text === undefined ? undefined : interfacesOf(text);
    },
    filesystem: diskSpace,
  };
}

/** `/proc/stat` counts in hundredths of a second: user, nice, system, idle, iowait, irq, softirq, steal. */
export function busyNanoseconds(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (stat.split('\n')[0] ?? '').split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) * nanosecondsPerTick;
}

export function memoryInfo(text: string): { readonly total: number; readonly usage: number; readonly workingSet: number; readonly rss: number } {
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) * 1024;
  const total = bytes('MemTotal');
  const usage = total - bytes('MemFree');
  return { total, usage, workingSet: Math.max(0, usage - bytes('Inactive\\(file\\)')), rss: bytes('AnonPages') };
}

/** Loopback, and the near ends of pods' links: cAdvisor leaves them out, too. */
const ignored = /^(lo$|veth|docker)/;

/** `/proc/net/dev`: after two lines of headings one for each interface. */
export function interfacesOf(text: string): InterfaceUsage[] {
  return text.split('\n').flatMap((line) => {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trim();
    if (name === '' || ignored.test(name)) return [];
    const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDropped = 0, , , , , txBytes = 0, txPackets = 0, txErrors = 0, txDropped = 0] = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    return [{ name, rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped }];
  });
}
