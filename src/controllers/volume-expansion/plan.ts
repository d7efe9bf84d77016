/**
 * How a claim that asks for more gets it. Drivers are expanded by a controller of their own, which is only waited for; FlexVolumes have nothing to be done
 * outside their node, so here they go through all the states: allocated, volume grown, file system still to be grown by the kubelet. Follows upstream's
 * `pkg/controller/volume/expand` with its recovery from failed expansions.
 */
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/kinds.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import { withCondition, withoutCondition } from '../conditions.ts';
import { preResizeCapacity } from '../persistent-volumes/names.ts';

export type ExpansionPlan =
  | { readonly do: 'nothing' }
  | { readonly do: 'wait-for-driver' }
  /** The claim's status says what is under way before anything is done. */
  | { readonly do: 'allocate'; readonly status: PersistentVolumeClaim['status'] }
  | { readonly do: 'grow-volume'; readonly volume: PersistentVolume }
  /** All that is left is the node's. */
  | { readonly do: 'leave-to-node'; readonly status: PersistentVolumeClaim['status'] };

const inProgress = 'ControllerResizeInProgress';
/** What the controller is done with; the kubelet goes on from here. */
const onNode = ['NodeResizePending', 'NodeResizeInProgress', 'NodeResizeInfeasible'];

export function planExpansion(claim: PersistentVolumeClaim, volume: PersistentVolume, now: string): ExpansionPlan {
  const { status } = claim;
  const wanted = claim.spec.resources?.requests?.['storage'] ?? '0';
  const size = parseQuantity(wanted);
  const grows = size.compare(parseQuantity(status.capacity?.['storage'] ?? '0')) > 0;
  const unfinished = volume.metadata.annotations?.[preResizeCapacity] !== undefined;
  if (claim.metadata.deletionTimestamp !== undefined || status.phase !== 'Bound' || (!grows && !unfinished)) return { do: 'nothing' };
  if (!volume.spec.flexVolume) return { do: 'wait-for-driver' };

  const allocated = parseQuantity(status.allocatedResources?.['storage'] ?? '0');
  const state = status.allocatedResourceStatuses?.['storage'];
  const settled = allocated.compare(size) === 0;
  if (settled && state !== undefined && onNode.includes(state)) return { do: 'nothing' };
  if (!settled || state !== inProgress) {
    const resizing = { type: 'Resizing', status: 'True', lastTransitionTime: now };
    return { do: 'allocate', status: { ...withAllocation(status, wanted, inProgress), conditions: [...withCondition(status.conditions, resizing)] } };
  }
  if (parseQuantity(volume.spec.capacity?.['storage'] ?? '0').compare(size) < 0) {
    const annotations = { ...volume.metadata.annotations, [preResizeCapacity]: status.capacity?.['storage'] ?? '0' };
    return {
      do: 'grow-volume',
      volume: {
        ...volume,
        metadata: { ...volume.metadata, annotations },
        spec: { ...volume.spec, capacity: { ...volume.spec.capacity, storage: wanted } },
      },
    };
  }
  const pending = {
    type: 'FileSystemResizePending',
    status: 'True',
    lastTransitionTime: now,
    message: 'Waiting for user to (re-)start a pod to finish file system resize of volume on node.',
  };
  const conditions = [...withCondition(withoutCondition(status.conditions, 'Resizing'), pending)];
  return { do: 'leave-to-node', status: { ...withAllocation(status, wanted, 'NodeResizePending'), conditions } };
}

function withAllocation(status: PersistentVolumeClaim['status'], size: string, state: string): PersistentVolumeClaim['status'] {
  return {
    ...status,
    allocatedResources: { ...status.allocatedResources, storage: size },
    allocatedResourceStatuses: { ...status.allocatedResourceStatuses, storage: state },
  };
}
