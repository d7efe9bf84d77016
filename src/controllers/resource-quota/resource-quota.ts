/**
 * Resource quotas: counts what a namespace uses when a quota is made or changed and when something counted goes. What comes is counted by admission, with
 * the object itself, so a count made after a quota was read is right as long as the quota is still the same: the server refuses it otherwise, and it is
 * made again. Upstream's `pkg/controller/resourcequota`.
 */
import type { Kind } from '../../api/kind.ts';
import { allKinds, CustomResourceDefinition, type Pod, ResourceQuota } from '../../api/kinds.ts';
import { isSpent } from '../../api/quota/usage.ts';
import { equal } from '../../machinery/equal.ts';
import { isReason } from '../../machinery/errors.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { ControllerDefinition } from '../controller.ts';
import { followCustomKinds } from '../custom-kind-caches.ts';
import { kindOfDefinition } from '../custom-kinds.ts';
import { type Counted, countedKinds, statusOf } from './usage.ts';

/** Upstream's `--resource-quota-sync-period`: for whatever was missed. */
const countAgainEveryMs = 300_000;

const changing: ReadonlySet<string> = new Set(['services', 'persistentvolumeclaims']);

export const resourceQuotaController: ControllerDefinition = {
  name: 'resourcequota-controller',
  serviceAccount: 'resourcequota-controller',
  setup(context) {
    const { client, world } = context;
    const enqueue = ({ metadata }: ResourceQuota): void => context.enqueue(`${metadata.namespace}/${metadata.name}`);
    const quotas = context.watch(ResourceQuota, {
      added(quota) {
        enqueue(quota);
        custom.review();
      },
      updated(quota, old) {
        if (equal(quota.spec, old.spec)) return;
        enqueue(quota);
        custom.review();
      },
      deleted: () => custom.review(),
    });
    const definitions = context.watch(CustomResourceDefinition);
    const countAgain = (object: KubeObject): void => {
      for (const quota of quotas.list(object.metadata.namespace)) enqueue(quota);
    };

    // Custom kinds are followed while some quota counts them.
    const custom = followCustomKinds(context, (kind) =>
      isCounted(kind) && quotas.list().some((quota) => countedKinds(quota, [kind]).length > 0) ? { deleted: countAgain } : undefined,
    );

    const builtIn = allKinds.filter(isCounted);
    for (const kind of builtIn) {
      context.watch(kind, {
        deleted: countAgain,
        ...(kind.group === '' && kind.resource === 'pods' && { updated: (pod: KubeObject, old: KubeObject) => countSpent(pod as Pod, old as Pod) }),
        ...(kind.group === '' && changing.has(kind.resource) && { updated: countAgain }),
      });
    }
    context.every(countAgainEveryMs, () => quotas.list().forEach(enqueue));

    function countSpent(pod: Pod, old: Pod): void {
      const now = world.clock.now();
      if (isSpent(pod, now) && !isSpent(old, now)) countAgain(pod);
    }

    function kinds(): readonly Kind[] {
      return [...builtIn, ...definitions.list().flatMap((definition) => kindOfDefinition(definition) ?? [])].filter(isCounted);
    }

    /**
     * As it is now: a count that agrees with how a late cache remembers the quota says nothing about what admission has charged it since. By a list, which
     * is what the controller may do.
     */
    async function read(name: string, namespace: string): Promise<ResourceQuota | undefined> {
      const found = await client
        .resource(ResourceQuota)
        .namespace(namespace)
        .list({ fieldSelector: `metadata.name=${name}` });
      return found.items[0];
    }

    async function count(kind: Kind, namespace: string): Promise<Counted> {
      try {
        return { kind, objects: (await client.resource(kind).namespace(namespace).list()).items };
      } catch (error) {
        // A custom kind can go away together with what it described.
        if (isReason(error, 'NotFound', 'MethodNotAllowed')) return { kind, objects: [] };
        throw error;
      }
    }

    return {
      async reconcile(key) {
        const [namespace = '', name = ''] = key.split('/');
        const quota = await read(name, namespace);
        if (!quota) return;
        const counted = await Promise.all(countedKinds(quota, kinds()).map((kind) => count(kind, namespace)));
        const status = statusOf(quota, counted, world.clock.now());
        if (!status) return;
        try {
          await client
            .resource(ResourceQuota)
            .namespace(namespace)
            .updateStatus({ ...quota, status });
        } catch (error) {
          if (!isReason(error, 'NotFound')) throw error;
        }
      },
    };
  },
};

/** Kinds whose objects live in namespaces and can be listed; each storage once. */
function isCounted(kind: Kind): boolean {
  return kind.namespaced && !kind.virtual && !kind.storedAs && kind.verbs.includes('list') && !(kind.group === '' && kind.resource === 'events');
}
