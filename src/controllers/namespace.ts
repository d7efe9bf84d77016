/**
 * Namespaces on their way out: deletes everything in them, pods first, says in the conditions what is still there and why, and takes the
 * `kubernetes` finalizer off once nothing is. Upstream's `pkg/controller/namespace`.
 */
import type { Kind } from '../api/kind.ts';
import { APIService, CustomResourceDefinition, Namespace, Pod, allKinds } from '../api/kinds.ts';
import type { V1NamespaceCondition } from '../api/types.ts';
import { equal } from '../machinery/equal.ts';
import { isReason } from '../machinery/errors.ts';
import type { KubeObject } from '../machinery/object.ts';
import { timestamp } from '../world/world.ts';
import { aggregatedKinds } from './aggregated-kinds.ts';
import { withCondition } from './conditions.ts';
import type { ControllerDefinition, Outcome } from './controller.ts';
import { kindOfDefinition } from './custom-kinds.ts';
import { messageOf } from './errors.ts';

const finalizer = 'kubernetes';
/** The end of what remains shows up as an event; this is for what is not watched. */
const lookAgainMs = 15_000;

/** What is left of a kind in a namespace after everything was asked to go. */
export interface Remainder {
  readonly kind: Pick<Kind, 'group' | 'resource'>;
  readonly objects: readonly KubeObject[];
}

export interface Emptying {
  readonly remainders: readonly Remainder[];
  readonly failures: readonly string[];
  /** Groups whose content is not known, because nobody answers for them. */
  readonly unknown: readonly string[];
}

export const namespaceController: ControllerDefinition = {
  name: 'namespace-controller',
  serviceAccount: 'namespace-controller',
  setup(context) {
    const { client, world } = context;
    const enqueueIfLeaving = (namespace: Namespace): void => {
      if (namespace.metadata.deletionTimestamp !== undefined) context.enqueue(namespace.metadata.name);
    };
    const namespaces = context.watch(Namespace, { added: enqueueIfLeaving, updated: enqueueIfLeaving });
    const definitions = context.watch(CustomResourceDefinition);
    const services = context.watch(APIService);

    const builtIn = allKinds.filter(hasContent);
    for (const kind of builtIn) {
      context.watch(kind, {
        deleted(object) {
          const namespace = namespaces.get(object.metadata.namespace ?? '');
          if (namespace) enqueueIfLeaving(namespace);
        },
      });
    }

    function contentKinds(): readonly Kind[] {
      const custom = definitions.list().flatMap((definition) => kindOfDefinition(definition) ?? []);
      return [...builtIn, ...custom.filter(hasContent)];
    }

    /** Asks everything of a kind to go; answers what has not gone yet. */
    async function empty(kind: Kind, namespace: string): Promise<Remainder> {
      const objects = client.resource(kind).namespace(namespace);
      try {
        const before = await objects.list();
        if (before.items.length === 0) return { kind, objects: [] };
        if (before.items.some((object) => object.metadata.deletionTimestamp === undefined)) {
          await objects.deleteCollection({ propagationPolicy: 'Background' });
        }
        return { kind, objects: (await objects.list()).items };
      } catch (error) {
        // A custom kind can go away together with what it described.
        if (isReason(error, 'NotFound', 'MethodNotAllowed')) return { kind, objects: [] };
        throw error;
      }
    }

    async function emptyAll(kinds: readonly Kind[], namespace: string): Promise<Omit<Emptying, 'unknown'>> {
      const results = await Promise.allSettled(kinds.map((kind) => empty(kind, namespace)));
      return {
        remainders: results.flatMap((result) => (result.status === 'fulfilled' && result.value.objects.length > 0 ? [result.value] : [])),
        failures: results.flatMap((result) => (result.status === 'rejected' ? [messageOf(result.reason)] : [])),
      };
    }

    async function reconcile(key: string): Promise<Outcome> {
      if (namespaces.get(key)?.metadata.deletionTimestamp === undefined) return undefined;
      const namespace = await live(key);
      if (!namespace || namespace.metadata.deletionTimestamp === undefined || !namespace.spec.finalizers?.includes(finalizer)) return undefined;

      // Pods first: what they use must not be pulled from under them.
      const isPod = (kind: Kind): boolean => kind.group === Pod.group && kind.resource === Pod.resource;
      const aggregated = await aggregatedKinds(client, services.list());
      let emptied = await emptyAll(contentKinds().filter(isPod), key);
      if (emptied.remainders.length === 0 && emptied.failures.length === 0) {
        const others = contentKinds().filter((kind) => !isPod(kind));
        emptied = await emptyAll([...others, ...aggregated.kinds.filter(hasContent)], key);
      }

      const emptying: Emptying = { ...emptied, unknown: aggregated.failures };
      const conditions = emptyingConditions(namespace.status.conditions ?? [], emptying, timestamp(world.clock.now()));
      const isEmpty = emptying.remainders.length === 0 && emptying.failures.length === 0 && emptying.unknown.length === 0;
      if (!isEmpty) {
        if (!equal(conditions, namespace.status.conditions)) {
          await client.resource(Namespace).updateStatus({ ...namespace, status: { ...namespace.status, phase: 'Terminating', conditions } });
        }
        if (emptying.failures.length > 0) throw new Error(emptying.failures.join('; '));
        return { requeueAfterMs: lookAgainMs };
      }
      await finalize(namespace);
    }

    async function live(name: string): Promise<Namespace | undefined> {
      try {
        return await client.resource(Namespace).get(name);
      } catch (error) {
        if (isReason(error, 'NotFound')) return undefined;
        throw error;
      }
    }

    async function finalize(namespace: Namespace): Promise<void> {
      const finalizers = (namespace.spec.finalizers ?? []).filter((name) => name !== finalizer);
      try {
        await client.transport.request({
          method: 'PUT',
          path: `/api/v1/namespaces/${namespace.metadata.name}/finalize`,
          body: { ...namespace, spec: { ...namespace.spec, finalizers } },
        });
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
      }
    }

    return { reconcile };
  },
};

/** Kinds whose objects live in namespaces and can be listed and deleted; each storage once. */
function hasContent(kind: Kind): boolean {
  return kind.namespaced && !kind.virtual && !kind.storedAs && kind.verbs.includes('list') && kind.verbs.includes('deletecollection');
}

type Words = readonly [status: 'True' | 'False', reason: string, message: string];

/** The five conditions a namespace has while it goes. */
export function emptyingConditions(
  old: readonly V1NamespaceCondition[],
  { remainders, failures, unknown }: Emptying,
  now: string,
): V1NamespaceCondition[] {
  const finalizers = new Map<string, number>();
  for (const { objects } of remainders) {
    for (const object of objects) for (const name of object.metadata.finalizers ?? []) finalizers.set(name, (finalizers.get(name) ?? 0) + 1);
  }
  const resources = remainders.map(({ kind, objects }) => `${kind.resource}.${kind.group} has ${objects.length} resource instances`).sort();
  const blocking = [...finalizers].map(([name, count]) => `${name} in ${count} resource instances`).sort();
  const words: readonly (readonly [type: string, words: Words])[] = [
    [
      'NamespaceDeletionDiscoveryFailure',
      unknown.length > 0
        ? [
            'True',
            'DiscoveryFailed',
            `Discovery failed for some groups, ${unknown.length} failing: unable to retrieve the complete list of server APIs: ${unknown.join(', ')}`,
          ]
        : ['False', 'ResourcesDiscovered', 'All resources successfully discovered'],
    ],
    ['NamespaceDeletionGroupVersionParsingFailure', ['False', 'ParsedGroupVersions', 'All legacy kube types successfully parsed']],
    [
      'NamespaceDeletionContentFailure',
      failures.length > 0
        ? ['True', 'ContentDeletionFailed', `Failed to delete all resource types, ${failures.length} remaining: ${failures.join(', ')}`]
        : ['False', 'ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    ],
    [
      'NamespaceContentRemaining',
      resources.length > 0
        ? ['True', 'SomeResourcesRemain', `Some resources are remaining: ${resources.join(', ')}`]
        : ['False', 'ContentRemoved', 'All content successfully removed'],
    ],
    [
      'NamespaceFinalizersRemaining',
      blocking.length > 0
        ? ['True', 'SomeFinalizersRemain', `Some content in the namespace has finalizers remaining: ${blocking.join(', ')}`]
        : ['False', 'ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    ],
  ];
  let conditions: readonly V1NamespaceCondition[] = old;
  for (const [type, [status, reason, message]] of words) {
    const current = conditions.find((condition) => condition.type === type);
    if (current?.status === status && current.reason === reason && current.message !== message) {
      // The same trouble with other numbers: the words move on, the time does not.
      conditions = conditions.map((condition) => (condition === current ? { ...current, message } : condition));
    } else {
      conditions = withCondition(conditions, { type, status, reason, message, lastTransitionTime: now });
    }
  }
  return [...conditions];
}
