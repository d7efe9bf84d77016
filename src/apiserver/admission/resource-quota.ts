/**
 * ResourceQuota: what an object counts for is added to its namespace's quotas in the same transaction that stores the object, so that a quota holds exactly
 * however many write at once, and nothing is counted that was not stored. What goes is counted off by the controller.
 * https://kubernetes.io/docs/concepts/policy/resource-quotas/
 */
import { Pod, ResourceQuota } from '../../api/kinds.ts';
import { isInScope } from '../../api/quota/scopes.ts';
import { countsFor, unsaid, usageOf } from '../../api/quota/usage.ts';
import { forbidden } from '../../machinery/errors.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import type { World } from '../../world/world.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { Entry } from '../registry/encoding.ts';
import type { Registry } from '../registry/registry.ts';
import { putOf } from '../verbs/commit.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

/** Kinds that can come to count for more by a change. */
const changing: ReadonlySet<string> = new Set(['/services', '/persistentvolumeclaims']);

export function resourceQuota(registry: Registry, world: World): AdmissionPlugin {
  const turns = new Turns();
  const served = registry.servedKind(ResourceQuota);

  /** Adds the charge to every quota it concerns; throws when one does not bear it. Answers whether there is anything to store. */
  function charge(request: AdmissionRequest, entries: readonly Entry[]): boolean {
    let charged = false;
    for (const entry of entries) {
      const quota = entry.object as ResourceQuota;
      const used = chargedUsage(request, quota, world.clock.now());
      if (!used) continue;
      charged = true;
      const object = { ...quota, status: { ...quota.status, used } } as object as AnyObject;
      const put = putOf({ registry, world }, served, entry.path, object);
      request.alongside?.add(put, { key: put.key, modRevision: entry.revision });
    }
    return charged;
  }

  return {
    name: 'ResourceQuota',
    concerns: (kind) => kind.namespaced && !kind.virtual,
    validate(request) {
      const { namespace } = request;
      if (namespace === undefined || !counts(request)) return undefined;
      if (served.cache.list(namespace).length === 0) return undefined;
      return (async () => {
        // One writer of a namespace's quotas at a time: the others would only meet each other's guards.
        const done = await turns.take(namespace);
        let charged = false;
        try {
          charged = charge(
            request,
            [...served.cache.list(namespace)].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
          );
        } finally {
          if (charged && request.alongside) request.alongside.onEnd(done);
          else done();
        }
      })();
    },
  };
}

/** Whether the write can add to what is used at all. */
function counts({ operation, subresource, kind, object }: AdmissionRequest): boolean {
  if (!object) return false;
  const place = `${kind.group}/${kind.resource}`;
  if (operation === 'CREATE') return subresource === '';
  if (operation !== 'UPDATE') return false;
  return subresource === '' ? changing.has(place) : subresource === 'resize' && place === '/pods';
}

/** What the quota's use comes to with the write; undefined when it does not change. Throws when that is more than it allows. */
export function chargedUsage(request: AdmissionRequest, quota: ResourceQuota, nowMs: number): Record<string, string> | undefined {
  const { kind, object, oldObject } = request;
  const { hard = {}, used = {} } = quota.status;
  const bounded = Object.keys(hard).filter((name) => countsFor(kind, name));
  if (!object || bounded.length === 0 || !isInScope(quota.spec, kind, object)) return undefined;
  const refuse = (why: string): Error => forbidden(request.resource, request.name, why);
  const { name } = quota.metadata;

  if (kind.group === Pod.group && kind.resource === Pod.resource) {
    const missing = unsaid(object as object as Pod, bounded);
    if (missing !== undefined) throw refuse(`failed quota: ${name}: ${missing}`);
  }
  const unknown = bounded.filter((resource) => used[resource] === undefined);
  if (unknown.length > 0) throw refuse(`status unknown for quota: ${name}, resources: ${unknown.toSorted().join(',')}`);

  const usage = usageOf(kind, object, nowMs);
  const before = oldObject ? usageOf(kind, oldObject, nowMs) : undefined;
  const charges = bounded.flatMap((resource) => {
    const delta = (usage.get(resource) ?? Quantity.zero).sub(before?.get(resource) ?? Quantity.zero);
    return delta.isZero() ? [] : [{ resource, delta, total: parseQuantity(used[resource] ?? '0').add(delta) }];
  });
  if (charges.length === 0) return undefined;
  const exceeded = charges.filter(({ resource, delta, total }) => delta.sign() > 0 && total.compare(parseQuantity(hard[resource] ?? '0')) > 0);
  if (exceeded.length > 0) {
    const sorted = exceeded.toSorted((a, b) => (a.resource < b.resource ? -1 : 1));
    const shown = (amount: (charge: (typeof sorted)[number]) => string): string =>
      sorted.map((charge) => `${charge.resource}=${amount(charge)}`).join(',');
    const requested = shown(({ delta }) => delta.toString());
    const usedText = shown(({ resource }) => used[resource] ?? '0');
    throw refuse(`exceeded quota: ${name}, requested: ${requested}, used: ${usedText}, limited: ${shown(({ resource }) => hard[resource] ?? '0')}`);
  }
  return { ...used, ...Object.fromEntries(charges.map(({ resource, total }) => [resource, total.toString()])) };
}

/** Lets one at a time go on for each key, in the order they came. */
class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Resolves when it is this one's turn; call what it answers to let the next go on. */
  async take(key: string): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#last.get(key);
    this.#last.set(key, promise);
    await before;
    return () => {
      if (this.#last.get(key) === promise) this.#last.delete(key);
      resolve();
    };
  }
}
