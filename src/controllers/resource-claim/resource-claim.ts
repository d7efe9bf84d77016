/**
 * Resource claims of pods: makes those that pods want from templates, and gives back what pods that are over had reserved, so that the devices are free for
 * others. Upstream's `pkg/controller/resourceclaim`.
 */
import { Pod, ResourceClaim, ResourceClaimTemplate } from '../../api/kinds.ts';
import type { V1PodResourceClaimStatus, V1ResourceClaimConsumerReference } from '../../api/types.ts';
import { controllerOf, keyOf, splitKey } from '../../machinery/object.ts';
import type { ControllerDefinition } from '../controller.ts';
import { ignoreGone, isNamespaceTerminating, messageOf } from '../errors.ts';
import { controllerReference, hasEnded, indexByController, ownedBy, sharedIndex } from '../pods.ts';
import { claimNamesOf, claimsToMake, podClaimAnnotation, released, usesClaims } from './plan.ts';

const podPrefix = 'pod:';
const claimPrefix = 'claim:';
const byTemplateIndex = 'controllers/pods-by-claim-template';
const fieldManager = 'ResourceClaimController';

export const resourceClaimController: ControllerDefinition = {
  name: 'resourceclaim-controller',
  serviceAccount: 'resource-claim-controller',
  eventSource: 'resource_claim',
  setup(context) {
    const { client, events } = context;
    /** Claims made that the cache may not show yet, by pod's UID and the claim's name in the pod. */
    const made = new Map<string, string>();

    const enqueuePod = (pod: Pod): void => context.enqueue(`${podPrefix}${keyOf(pod)}`);
    const enqueueClaim = (claim: ResourceClaim): void => context.enqueue(`${claimPrefix}${keyOf(claim)}`);
    const podChanged = (pod: Pod): void => {
      if (!usesClaims(pod)) return;
      enqueuePod(pod);
      if (!isOver(pod)) return;
      for (const name of claimNamesOf(pod)) context.enqueue(`${claimPrefix}${pod.metadata.namespace}/${name}`);
    };
    const pods = context.watch(Pod, {
      added: podChanged,
      updated: podChanged,
      deleted(pod) {
        for (const { name } of pod.spec.resourceClaims ?? []) made.delete(`${pod.metadata.uid}/${name}`);
        for (const name of claimNamesOf(pod)) context.enqueue(`${claimPrefix}${pod.metadata.namespace}/${name}`);
      },
    });
    sharedIndex(pods, byTemplateIndex, ({ metadata, spec }) =>
      (spec.resourceClaims ?? []).flatMap(({ resourceClaimTemplateName: name }) => (name === undefined ? [] : [`${metadata.namespace}/${name}`])),
    );
    const claimChanged = (claim: ResourceClaim): void => {
      enqueueClaim(claim);
      const owner = controllerOf(claim);
      if (owner?.kind === 'Pod') context.enqueue(`${podPrefix}${claim.metadata.namespace}/${owner.name}`);
    };
    const claims = context.watch(ResourceClaim, { added: claimChanged, updated: claimChanged, deleted: claimChanged });
    indexByController(claims);
    const templates = context.watch(ResourceClaimTemplate, {
      added: (template) => pods.byIndex(byTemplateIndex, keyOf(template)).forEach(enqueuePod),
    });

    async function make(pod: Pod, name: string, templateName: string): Promise<string | undefined> {
      const remembered = made.get(`${pod.metadata.uid}/${name}`);
      if (remembered !== undefined) return remembered;
      const { namespace } = pod.metadata;
      const template = templates.get(templateName, namespace);
      if (!template) throw new Error(`resource claim template "${templateName}": resourceclaimtemplate.resource.k8s.io "${templateName}" not found`);
      const { metadata, spec } = template.spec;
      try {
        const claim = await client
          .resource(ResourceClaim)
          .namespace(namespace)
          .create({
            metadata: {
              generateName: `${pod.metadata.name}-${name}-`,
              namespace,
              ...(metadata?.labels && { labels: metadata.labels }),
              annotations: { ...metadata?.annotations, [podClaimAnnotation]: name },
              ownerReferences: [controllerReference(pod)],
            },
            spec,
          });
        made.set(`${pod.metadata.uid}/${name}`, claim.metadata.name);
        return claim.metadata.name;
      } catch (error) {
        if (isNamespaceTerminating(error)) return undefined;
        throw error;
      }
    }

    /** Claims from templates are made and written down in the pod's status, where the scheduler and the kubelet look them up. */
    async function reconcilePod(key: string): Promise<void> {
      const { namespace = '', name } = splitKey(key);
      const pod = pods.get(name, namespace);
      if (!pod || pod.metadata.deletionTimestamp !== undefined || hasEnded(pod)) return;
      const plan = claimsToMake(pod, ownedBy(claims, pod.metadata.uid));
      const names: V1PodResourceClaimStatus[] = [...plan.known];
      for (const { name: claimName, template } of plan.make) {
        try {
          const resourceClaimName = await make(pod, claimName, template);
          if (resourceClaimName === undefined) return;
          names.push({ name: claimName, resourceClaimName });
        } catch (error) {
          events.event(pod, 'Warning', 'FailedResourceClaimCreation', `PodResourceClaim ${claimName}: ${messageOf(error)}`);
          throw error;
        }
      }
      if (plan.make.length > 0 || plan.unwritten) await writeNames(pod, names);
      await reserveForBound(pod);
    }

    async function writeNames(pod: Pod, resourceClaimStatuses: readonly V1PodResourceClaimStatus[]): Promise<void> {
      const { namespace, name, uid } = pod.metadata;
      await client
        .resource(Pod)
        .namespace(namespace)
        .patch(
          name,
          { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, uid }, status: { resourceClaimStatuses } },
          { type: 'apply', subresource: 'status', fieldManager, force: true },
        )
        .catch(ignoreGone);
    }

    /** A pod that was bound by another than the scheduler has nobody else who reserves its claims, once they have devices. */
    async function reserveForBound(pod: Pod): Promise<void> {
      if (!pod.spec.nodeName) return;
      const { namespace, name, uid } = pod.metadata;
      for (const claimName of claimNamesOf(pod)) {
        const claim = claims.get(claimName, namespace);
        if (!claim?.status?.allocation || claim.metadata.deletionTimestamp !== undefined) continue;
        const reservedFor = claim.status.reservedFor ?? [];
        if (reservedFor.some((user) => user.uid === uid)) continue;
        await client
          .resource(ResourceClaim)
          .namespace(namespace)
          .updateStatus({ ...claim, status: { ...claim.status, reservedFor: [...reservedFor, { resource: 'pods', name, uid }] } });
      }
    }

    async function isStillUsed(namespace: string, user: V1ResourceClaimConsumerReference): Promise<boolean> {
      // What others than pods do with claims is theirs to end.
      if (user.resource !== 'pods' || (user.apiGroup ?? '') !== '') return true;
      const cached = pods.get(user.name, namespace);
      if (cached?.metadata.uid === user.uid) return !isOver(cached);
      const live = await client.resource(Pod).namespace(namespace).get(user.name).catch(ignoreGone);
      return live?.metadata.uid === user.uid && !isOver(live);
    }

    async function reconcileClaim(key: string): Promise<void> {
      const { namespace = '', name } = splitKey(key);
      const claim = claims.get(name, namespace);
      if (!claim) return;
      const users = claim.status?.reservedFor ?? [];
      const used = await Promise.all(users.map((user) => isStillUsed(namespace, user)));
      const change = released(
        claim,
        users.filter((_, index) => used[index]),
      );
      const claimClient = client.resource(ResourceClaim).namespace(namespace);
      let current = claim;
      if (change.status) current = await claimClient.updateStatus({ ...claim, status: change.status });
      if (change.finalizers)
        await claimClient.update({ ...current, metadata: { ...current.metadata, finalizers: [...change.finalizers] } }).catch(ignoreGone);
      if (change.idle && ownerIsOver(claim)) {
        await claimClient.delete(name, { preconditions: { uid: claim.metadata.uid } }).catch(ignoreGone);
      }
    }

    /** A claim made for a pod that ended is of no more use; that of one that is gone falls to the garbage collector. */
    function ownerIsOver(claim: ResourceClaim): boolean {
      const owner = controllerOf(claim);
      if (owner?.kind !== 'Pod' || claim.metadata.deletionTimestamp !== undefined) return false;
      const pod = pods.get(owner.name, claim.metadata.namespace);
      return pod?.metadata.uid === owner.uid && isOver(pod);
    }

    return {
      reconcile: (key) => (key.startsWith(podPrefix) ? reconcilePod(key.slice(podPrefix.length)) : reconcileClaim(key.slice(claimPrefix.length))),
    };
  },
};

/** It will not use its claims any more: it ended, or was deleted before it got to a node. */
function isOver(pod: Pod): boolean {
  return hasEnded(pod) || (pod.metadata.deletionTimestamp !== undefined && !pod.spec.nodeName);
}
