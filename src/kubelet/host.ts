/** What the machine is: sizes, names and versions, as a Node object shows them. Read from the running system, or made up for a simulated node. */
import { mkdirSync, readFileSync, statfsSync } from 'node:fs';
import { arch, availableParallelism, release, totalmem } from 'node:os';
import { type MachineTopology, flatTopology, readTopology } from './allocation/machine-topology.ts';
import { type Cgroups, noCgroups } from './cgroups.ts';
import { parseCpuSet } from './cpu-set.ts';
import { type Disk, realDisk, simulatedDisk } from './disk.ts';
import { type DnsConfig, parseResolvConf } from './dns-config.ts';

export interface HostFacts {
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Of the file system that holds the kubelet's root directory. */
  readonly ephemeralStorageBytes: number;
  readonly architecture: string;
  readonly operatingSystem: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  readonly machineId: string;
  readonly systemUuid: string;
  readonly bootId: string;
  readonly dns: DnsConfig;
  /** The content of /etc/hosts. */
  readonly hostsFile: string;
  /** Whether the kernel confines by AppArmor. */
  readonly appArmor: boolean;
}

export interface Host {
  facts(): HostFacts;
  /** How its CPUs and memory hang together. */
  topology(): MachineTopology;
  readonly disk: Disk;
  readonly cgroups: Cgroups;
}

export function realHost(rootDir: string, cgroups: Cgroups): Host {
  return { facts: () => readFacts(rootDir), topology, disk: realDisk(), cgroups };
}

export function simulatedHost(facts: Partial<HostFacts> = {}): Host {
  const all: HostFacts = {
    cpus: 4,
    memoryBytes: 8 * 2 ** 30,
    ephemeralStorageBytes: 100 * 2 ** 30,
    architecture: 'amd64',
    operatingSystem: 'linux',
    kernelVersion: '6.1.0-simulated',
    osImage: 'Simulated Linux',
    machineId: '00000000000000000000000000000000',
    systemUuid: '00000000-0000-0000-0000-000000000000',
    bootId: '00000000-0000-0000-0000-000000000000',
    dns: { servers: ['127.0.0.1'], searches: [], options: [] },
    hostsFile: '127.0.0.1\tlocalhost\n',
    appArmor: false,
    ...facts,
  };
  return { facts: () => all, topology: () => flatTopology(all.cpus, all.memoryBytes), disk: simulatedDisk(), cgroups: noCgroups() };
}

function topology(): MachineTopology {
  // A machine inside another may be given a part of its CPUs.
  const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(readOr('/proc/self/status', ''))?.[1] ?? '';
  return readTopology({ directory: '/sys/devices/system', allowed: parseCpuSet(allowed) ?? [], memoryBytes: totalmem() });
}

function readFacts(rootDir: string): HostFacts {
  mkdirSync(rootDir, { recursive: true, mode: 0o750 });
  const { blocks, bsize } = statfsSync(rootDir);
  const machineId = readOr('/etc/machine-id', '');
  return {
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    ephemeralStorageBytes: blocks * bsize,
    architecture: goArchitecture(arch()),
    operatingSystem: 'linux',
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?/m.exec(readOr('/etc/os-release', ''))?.[1] ?? 'Linux',
    machineId,
    systemUuid: readOr('/sys/class/dmi/id/product_uuid', machineId),
    bootId: readOr('/proc/sys/kernel/random/boot_id', ''),
    dns: parseResolvConf(readOr('/etc/resolv.conf', '')),
    appArmor: readOr('/sys/module/apparmor/parameters/enabled', 'N') === 'Y',
    hostsFile: `${readOr('/etc/hosts', '127.0.0.1\tlocalhost')}\n`,
  };
}

/** Kubernetes names architectures as Go does. */
function goArchitecture(name: string): string {
  return name === 'x64' ? 'amd64' : name;
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return otherwise;
  }
}
