/** Sees to claims that ask for more room than they have. Upstream's `persistentvolume-expander-controller`. */
import { PersistentVolume, PersistentVolumeClaim } from '../../api/kinds.ts';
import { keyOf, splitKey } from '../../machinery/object.ts';
import { timestamp } from '../../world/world.ts';
import type { ControllerDefinition } from '../controller.ts';
import { planExpansion } from './plan.ts';

export const volumeExpansionController: ControllerDefinition = {
  name: 'persistentvolume-expander-controller',
  serviceAccount: 'expand-controller',
  eventSource: 'volume_expand',
  setup(context) {
    const { client, events, world } = context;
    /** What was said to be waited for, by the claim's UID: once for each size. */
    const told = new Map<string, string>();
    const enqueueBound = (claim: PersistentVolumeClaim): void => {
      if (claim.status.phase === 'Bound') context.enqueue(keyOf(claim));
    };
    const claims = context.watch(PersistentVolumeClaim, {
      added: enqueueBound,
      updated: enqueueBound,
      deleted: ({ metadata }) => void told.delete(metadata.uid),
    });
    const volumes = context.watch(PersistentVolume, {
      updated({ spec: { claimRef } }) {
        const claim = claimRef?.name === undefined ? undefined : claims.get(claimRef.name, claimRef.namespace);
        if (claim) enqueueBound(claim);
      },
    });

    function tellWaiting(claim: PersistentVolumeClaim): void {
      const size = claim.spec.resources?.requests?.['storage'] ?? '';
      if (told.get(claim.metadata.uid) === size) return;
      told.set(claim.metadata.uid, size);
      events.event(claim, 'Normal', 'ExternalExpanding', 'waiting for an external controller to expand this PVC');
    }

    return {
      async reconcile(key) {
        const { namespace, name } = splitKey(key);
        const claim = claims.get(name, namespace);
        const volume = claim?.spec.volumeName === undefined ? undefined : volumes.get(claim.spec.volumeName);
        if (!claim || !volume || volume.spec.claimRef?.uid !== claim.metadata.uid) return;
        const resource = client.resource(PersistentVolumeClaim).namespace(claim.metadata.namespace);
        const plan = planExpansion(claim, volume, timestamp(world.clock.now()));
        switch (plan.do) {
          case 'nothing':
            told.delete(claim.metadata.uid);
            break;
          case 'wait-for-driver':
            tellWaiting(claim);
            break;
          case 'allocate':
            await resource.updateStatus({ ...claim, status: plan.status });
            break;
          case 'grow-volume':
            await client.resource(PersistentVolume).update(plan.volume);
            break;
          case 'leave-to-node':
            await resource.updateStatus({ ...claim, status: plan.status });
            events.event(claim, 'Normal', 'FileSystemResizeRequired', 'Require file system resize of volume on node');
            break;
        }
      },
    };
  },
};
