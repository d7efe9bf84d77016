/**
 * VolumeBinding: a pod goes where its volumes are, or where they can be had. Claims of a `WaitForFirstConsumer` class are bound here: to a free volume that
 * reaches the node, or by asking the provisioner for one on it (`volume.kubernetes.io/selected-node`). The pod is bound after its claims are.
 */
import { type Node, PersistentVolume, PersistentVolumeClaim } from '../../../api/kinds.ts';
import type { PluginDefinition, Refusal } from '../../plugin.ts';
import type { PodInfo } from '../../pod-info.ts';
import type { Snapshot } from '../../snapshot.ts';
import { claimsOf, isBound, selectedNode, volumeOf, waitsForPod } from './pod-claims.ts';
import { keyOfClaim, noSpace, noVolume, planVolumes, reaches, type VolumePlan } from './volume-plan.ts';

const unboundImmediate: Refusal = { reasons: ['pod has unbound immediate PersistentVolumeClaims'], unresolvable: true };
const elsewhere = "node(s) didn't match PersistentVolume's node affinity";
const noPv = 'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)';
const refusals: ReadonlyMap<string, Refusal> = new Map(
  [elsewhere, noPv, noVolume, noSpace].map((reason) => [reason, { reasons: [reason], unresolvable: true }]),
);

const defaultBindTimeoutSeconds = 600;

export const volumeBinding: PluginDefinition = {
  name: 'VolumeBinding',
  create(args, { client, snapshot: live, changes }) {
    const bindTimeoutMs = (args.whole('bindTimeoutSeconds', 0, 2 ** 31) ?? defaultBindTimeoutSeconds) * 1000;
    // Upstream's shape is for an alpha score by capacity; it is read so that a configuration that has it is not refused.
    args.raw('shape');
    args.done();
    const resources = { claims: client.resource(PersistentVolumeClaim), volumes: client.resource(PersistentVolume) };
    /** Volumes promised to claims that the cluster does not show yet. */
    const promised = new Map<string, string>();
    const plans = new Map<string, VolumePlan>();

    return {
      name: 'VolumeBinding',
      hints: [
        {
          on: [
            'NodeAdd',
            'NodeUpdateLabel',
            'PersistentVolumeClaim',
            'PersistentVolume',
            'StorageClass',
            'CSINode',
            'CSIDriver',
            'CSIStorageCapacity',
          ],
          helps: (pod, { object }) => object.kind !== 'PersistentVolumeClaim' || object.metadata.namespace === pod.namespace,
        },
      ],
      preFilter(pod, snapshot) {
        if (pod.claims.length === 0) return undefined;
        const found = claimsOf(pod, snapshot);
        if ('refusal' in found) return found;
        const unbound = found.claims.filter((claim) => !isBound(claim));
        if (unbound.some((claim) => Boolean(claim.spec.volumeName) || !waitsForPod(claim, snapshot))) return { refusal: unboundImmediate };
        const bound = found.claims.filter(isBound);
        return {
          filter: ({ node }) => {
            const reason = node && (boundProblem(bound, node, snapshot) ?? unboundProblem(unbound, node, snapshot));
            return reason === undefined ? undefined : refusals.get(reason);
          },
        };
      },
      reserve(pod, nodeName, snapshot) {
        if (pod.claims.length === 0) return;
        const node = snapshot.node(nodeName)?.node;
        const found = claimsOf(pod, snapshot);
        if (node === undefined || 'refusal' in found) throw new Error(`the claims of ${pod.key} changed`);
        const plan = planVolumes(
          found.claims.filter((claim) => !isBound(claim)),
          node,
          snapshot,
          promised,
        );
        if (typeof plan === 'string') throw new Error(plan);
        for (const { claim, volume } of plan.bind) promised.set(volume.metadata.name, keyOfClaim(claim));
        if (plan.bind.length > 0 || plan.provision.length > 0) plans.set(pod.key, plan);
      },
      unreserve: (pod) => forget(pod),
      needsPreBind: (pod) => plans.has(pod.key),
      async preBind(pod, nodeName, signal) {
        const plan = plans.get(pod.key);
        if (plan === undefined) return;
        for (const { claim, volume } of plan.bind) await promise(volume, claim);
        for (const claim of plan.provision) await askFor(claim, nodeName);
        await changes.until(() => areBound(pod, nodeName, plan), bindTimeoutMs, signal);
      },
      postBind: (pod) => forget(pod),
    };

    function forget({ key }: PodInfo): void {
      const plan = plans.get(key);
      plans.delete(key);
      for (const { volume } of plan?.bind ?? []) promised.delete(volume.metadata.name);
    }

    function unboundProblem(unbound: readonly PersistentVolumeClaim[], node: Node, snapshot: Snapshot): string | undefined {
      if (unbound.length === 0) return undefined;
      const plan = planVolumes(unbound, node, snapshot, promised);
      return typeof plan === 'string' ? plan : undefined;
    }

    /** Sets the volume aside for the claim; the volume controller does the rest. */
    async function promise({ metadata, spec }: PersistentVolume, claim: PersistentVolumeClaim): Promise<void> {
      if (spec.claimRef?.uid === claim.metadata.uid) return;
      const { name, namespace, uid, resourceVersion } = claim.metadata;
      await resources.volumes.patch(metadata.name, {
        metadata: { resourceVersion: metadata.resourceVersion, annotations: { 'pv.kubernetes.io/bound-by-controller': 'yes' } },
        spec: { claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid, resourceVersion } },
      });
    }

    async function askFor({ metadata }: PersistentVolumeClaim, nodeName: string): Promise<void> {
      if (metadata.annotations?.[selectedNode] === nodeName) return;
      const annotations = { [selectedNode]: nodeName };
      await resources.claims.namespace(metadata.namespace).patch(metadata.name, { metadata: { uid: metadata.uid, annotations } });
    }

    /** Throws when they never will be: the provisioner gave up on the node, or a claim went. */
    function areBound(pod: PodInfo, nodeName: string, plan: VolumePlan): boolean {
      const found = claimsOf(pod, live);
      if ('refusal' in found) throw new Error(found.refusal.reasons.join(', '));
      const asked = new Set(plan.provision.map(keyOfClaim));
      for (const claim of found.claims) {
        const chosen = claim.metadata.annotations?.[selectedNode];
        // The cache may not show the annotation yet: only one that was there and is another now, or was taken away later, counts.
        if (asked.has(keyOfClaim(claim)) && !isBound(claim) && chosen !== undefined && chosen !== nodeName) {
          throw new Error(`selectedNode annotation value ${JSON.stringify(chosen)} not set to scheduled node ${JSON.stringify(nodeName)}`);
        }
      }
      return found.claims.every(isBound);
    }
  },
};

function boundProblem(claims: readonly PersistentVolumeClaim[], node: Node, snapshot: Snapshot): string | undefined {
  for (const claim of claims) {
    const volume = volumeOf(claim, snapshot);
    if (volume === undefined) return noPv;
    if (!reaches(volume, node)) return elsewhere;
  }
  return undefined;
}
