/**
 * Claims in use: takes the finalizer `kubernetes.io/pvc-protection` off a claim that is being deleted once no pod uses it. Upstream's
 * `pkg/controller/volume/pvcprotection`.
 */
import { PersistentVolumeClaim, Pod } from '../../api/kinds.ts';
import { isReason } from '../../machinery/errors.ts';
import { type ControllerDefinition, onAny } from '../controller.ts';

const finalizer = 'kubernetes.io/pvc-protection';
const usersIndex = 'pods of a claim';

/** The claims a pod holds on to. Before it has a node nothing is mounted, and its kubelet will not mount what is being deleted. */
export function claimsOf({ metadata, spec, status }: Pod): string[] {
  if (!spec.nodeName || status.phase === 'Succeeded' || status.phase === 'Failed') return [];
  return (spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    if (persistentVolumeClaim) return [persistentVolumeClaim.claimName];
    return ephemeral ? [`${metadata.name}-${name}`] : [];
  });
}

export const claimProtectionController: ControllerDefinition = {
  name: 'persistentvolumeclaim-protection-controller',
  serviceAccount: 'pvc-protection-controller',
  setup(context) {
    const { client } = context;
    const claims = context.watch(
      PersistentVolumeClaim,
      onAny(({ metadata }) => {
        if (metadata.deletionTimestamp !== undefined || !metadata.finalizers?.includes(finalizer))
          context.enqueue(`${metadata.namespace}/${metadata.name}`);
      }),
    );
    const pods = context.watch(
      Pod,
      onAny((pod) => {
        for (const { name, persistentVolumeClaim, ephemeral } of pod.spec.volumes ?? []) {
          const claim = persistentVolumeClaim?.claimName ?? (ephemeral ? `${pod.metadata.name}-${name}` : undefined);
          if (claim !== undefined) context.enqueue(`${pod.metadata.namespace}/${claim}`);
        }
      }),
    );
    pods.addIndex(usersIndex, (pod) => claimsOf(pod).map((claim) => `${pod.metadata.namespace}/${claim}`));

    /** Asked of the server itself: what a stale cache does not show would lose its data. */
    async function isUsed(namespace: string, name: string): Promise<boolean> {
      const { items } = await client.resource(Pod).namespace(namespace).list();
      return items.some((pod) => claimsOf(pod).includes(name));
    }

    return {
      async reconcile(key) {
        const [namespace = '', name = ''] = key.split('/');
        const claim = claims.get(name, namespace);
        if (!claim) return;
        const finalizers = claim.metadata.finalizers ?? [];
        const protectedNow = finalizers.includes(finalizer);
        const leaving = claim.metadata.deletionTimestamp !== undefined;
        if (leaving !== protectedNow) return;
        if (leaving && (pods.byIndex(usersIndex, key).length > 0 || (await isUsed(namespace, name)))) return;
        const changed = leaving ? finalizers.filter((known) => known !== finalizer) : [...finalizers, finalizer];
        try {
          const resource = client.resource(PersistentVolumeClaim).namespace(namespace);
          await resource.update({ ...claim, metadata: { ...claim.metadata, finalizers: changed } });
        } catch (error) {
          if (!isReason(error, 'NotFound')) throw error;
        }
      },
    };
  },
};
