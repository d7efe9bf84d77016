/** The devices a node offers: what ResourceSlices say, taken by pool, each pool at its newest generation and only when all of it is known. */
import type { Node, ResourceSlice } from '../../../api/kinds.ts';
import type { V1Device } from '../../../api/types.ts';
import { selectsNode } from '../../../machinery/node-selector.ts';

export interface OfferedDevice {
  /** `driver/pool/device`: what is allocated. */
  readonly id: string;
  readonly driver: string;
  readonly pool: string;
  readonly device: V1Device;
  readonly slice: ResourceSlice;
}

export function deviceId(driver: string, pool: string, device: string): string {
  return `${driver}/${pool}/${device}`;
}

export function devicesOn(node: Node, slices: readonly ResourceSlice[]): OfferedDevice[] {
  return completePools(slices).flatMap((slice) => {
    const { driver, pool, devices = [], perDeviceNodeSelection } = slice.spec;
    if (perDeviceNodeSelection !== true && !isFor(slice.spec, node)) return [];
    return devices
      .filter((device) => perDeviceNodeSelection !== true || isFor(device, node))
      .map((device): OfferedDevice => ({ id: deviceId(driver, pool.name, device.name), driver, pool: pool.name, device, slice }));
  });
}

function isFor({ nodeName, nodeSelector, allNodes }: Pick<V1Device, 'nodeName' | 'nodeSelector' | 'allNodes'>, node: Node): boolean {
  if (nodeName) return nodeName === node.metadata.name;
  if (nodeSelector) return selectsNode(undefined, nodeSelector.nodeSelectorTerms, node);
  return allNodes === true;
}

/** Slices of pools all of whose slices are there, of the newest generation. */
export function completePools(slices: readonly ResourceSlice[]): ResourceSlice[] {
  const pools = new Map<string, ResourceSlice[]>();
  for (const slice of slices) {
    const key = `${slice.spec.driver}/${slice.spec.pool.name}`;
    const known = pools.get(key) ?? [];
    const generation = known[0]?.spec.pool.generation ?? -1;
    if (slice.spec.pool.generation > generation) pools.set(key, [slice]);
    else if (slice.spec.pool.generation === generation) known.push(slice);
  }
  return [...pools.values()].flatMap((pool) => (pool.length === pool[0]?.spec.pool.resourceSliceCount ? pool : []));
}
