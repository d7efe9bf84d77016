/** Where containers of guaranteed pods run: the fields about CPU, memory and topology managers of a `KubeletConfiguration`. */
import { type CpuPolicyOptions, noCpuOptions, readCpuOptions } from '../allocation/cpu-policy-options.ts';
import { type TopologyPolicy, topologyPolicies } from '../allocation/topology-policy.ts';
import { parseCpuSet } from '../cpu-set.ts';
import { ConfigurationError, Fields } from './fields.ts';

export interface PlacementSettings {
  readonly cpuPolicy: 'none' | 'static';
  readonly cpuOptions: CpuPolicyOptions;
  /** CPUs kept from exclusive use: `0-1,3`. */
  readonly reservedCpus: string;
  readonly memoryPolicy: 'None' | 'Static';
  /** Bytes kept from pods, by NUMA node. */
  readonly reservedMemory: ReadonlyMap<number, number>;
  readonly topologyPolicy: TopologyPolicy;
  readonly topologyScope: 'container' | 'pod';
  readonly preferClosest: boolean;
  /** On a machine with more nodes, agreeing would take too long. */
  readonly mostNodes: number;
}

export const defaultPlacement: PlacementSettings = {
  cpuPolicy: 'none',
  cpuOptions: noCpuOptions,
  reservedCpus: '',
  memoryPolicy: 'None',
  reservedMemory: new Map(),
  topologyPolicy: 'none',
  topologyScope: 'container',
  preferClosest: false,
  mostNodes: 8,
};

export function placementIn(fields: Fields): PlacementSettings {
  const settings: PlacementSettings = {
    cpuPolicy: fields.choice('cpuManagerPolicy', ['', 'none', 'static']) || 'none',
    cpuOptions: wellRead(fields, 'cpuManagerPolicyOptions', readCpuOptions),
    reservedCpus: reservedCpus(fields),
    memoryPolicy: fields.choice('memoryManagerPolicy', ['', 'None', 'Static']) || 'None',
    reservedMemory: reservedMemory(fields),
    topologyPolicy: fields.choice('topologyManagerPolicy', ['', ...topologyPolicies]) || 'none',
    topologyScope: fields.choice('topologyManagerScope', ['', 'container', 'pod']) || 'container',
    ...wellRead(fields, 'topologyManagerPolicyOptions', topologyOptions),
  };
  if (settings.cpuPolicy === 'none' && settings.cpuOptions !== noCpuOptions && Object.values(settings.cpuOptions).includes(true)) {
    throw new ConfigurationError('cpuManagerPolicyOptions: the none policy takes no options');
  }
  if (settings.memoryPolicy === 'Static' && settings.reservedMemory.size === 0) {
    throw new ConfigurationError('reservedMemory: is required with memoryManagerPolicy Static');
  }
  return settings;
}

/** As the file has them. */
export function shownPlacement(settings: PlacementSettings): Record<string, unknown> {
  return {
    cpuManagerPolicy: settings.cpuPolicy,
    reservedSystemCPUs: settings.reservedCpus,
    memoryManagerPolicy: settings.memoryPolicy,
    reservedMemory: [...settings.reservedMemory].map(([numaNode, bytes]) => ({ numaNode, limits: { memory: String(bytes) } })),
    topologyManagerPolicy: settings.topologyPolicy,
    topologyManagerScope: settings.topologyScope,
  };
}

function wellRead<T>(fields: Fields, name: string, read: (given: Readonly<Record<string, string>>) => T): T {
  try {
    return read(fields.textMap(name) ?? {});
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    throw new ConfigurationError(`${fields.pathOf(name)}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function reservedCpus(fields: Fields): string {
  const text = fields.text('reservedSystemCPUs') ?? '';
  if (parseCpuSet(text) !== undefined) return text;
  throw new ConfigurationError(`reservedSystemCPUs: Invalid value: ${JSON.stringify(text)}: must be a list of CPUs such as 0-1,3`);
}

function reservedMemory(fields: Fields): ReadonlyMap<number, number> {
  const reserved = new Map<number, number>();
  for (const [index, value] of (fields.list('reservedMemory') ?? []).entries()) {
    const path = `reservedMemory[${index}]`;
    const entry = new Fields(value, path);
    const node = entry.integer('numaNode', 0, 29);
    const limits = entry.section('limits');
    const bytes = limits?.bytes('memory');
    limits?.end();
    entry.end();
    if (node === undefined || bytes === undefined) throw new ConfigurationError(`${path}: needs a numaNode and limits with memory`);
    if (reserved.has(node)) throw new ConfigurationError(`${path}.numaNode: Duplicate value: ${node}`);
    reserved.set(node, bytes);
  }
  return reserved;
}

function topologyOptions(given: Readonly<Record<string, string>>): Pick<PlacementSettings, 'preferClosest' | 'mostNodes'> {
  let { preferClosest, mostNodes } = defaultPlacement;
  for (const [name, value] of Object.entries(given)) {
    if (name === 'prefer-closest-numa-nodes') {
      if (value !== 'true' && value !== 'false') throw new Error(`bad value for option "${name}": ${JSON.stringify(value)}`);
      preferClosest = value === 'true';
    } else if (name === 'max-allowable-numa-nodes') {
      mostNodes = Number(value);
      if (!Number.isInteger(mostNodes) || mostNodes < 8 || mostNodes > 29)
        throw new Error(`the minimum value of "${name}" is 8, the maximum here 29, got ${value}`);
    } else throw new Error(`unknown Topology Manager Policy option: "${name}"`);
  }
  return { preferClosest, mostNodes };
}
