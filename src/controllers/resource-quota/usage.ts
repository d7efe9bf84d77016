/** What all objects of a namespace together use of a quota. */
import type { Kind } from '../../api/kind.ts';
import type { ResourceQuota } from '../../api/kinds.ts';
import { isInScope } from '../../api/quota/scopes.ts';
import { countsFor, usageOf } from '../../api/quota/usage.ts';
import { equal } from '../../machinery/equal.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';

/** The objects of one kind in the quota's namespace. */
export interface Counted {
  readonly kind: Kind;
  readonly objects: readonly KubeObject[];
}

/** Which of the kinds a quota counts. */
export function countedKinds(quota: ResourceQuota, kinds: readonly Kind[]): readonly Kind[] {
  const names = Object.keys(quota.spec.hard ?? {});
  return kinds.filter((kind) => names.some((name) => countsFor(kind, name)));
}

/** The status the quota should have; undefined when it has it. */
export function statusOf(quota: ResourceQuota, counted: readonly Counted[], nowMs: number): NonNullable<ResourceQuota['status']> | undefined {
  const { hard = {} } = quota.spec;
  const used = new Map<string, Quantity>();
  for (const { kind, objects } of counted) {
    const names = Object.keys(hard).filter((name) => countsFor(kind, name));
    for (const name of names) used.set(name, used.get(name) ?? Quantity.zero);
    for (const object of objects) {
      if (!isInScope(quota.spec, kind, object)) continue;
      const usage = usageOf(kind, object, nowMs);
      for (const name of names) {
        const amount = usage.get(name);
        if (amount) used.set(name, (used.get(name) ?? Quantity.zero).add(amount));
      }
    }
  }
  const texts = Object.fromEntries([...used].map(([name, amount]) => [name, amount.toString()]));
  const unchanged = equal(hard, quota.status.hard ?? {}) && sameAmounts(texts, quota.status.used ?? {});
  return unchanged ? undefined : { hard: { ...hard }, used: texts };
}

function sameAmounts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => b[name] !== undefined && parseQuantity(a[name] ?? '0').compare(parseQuantity(b[name])) === 0)
  );
}
