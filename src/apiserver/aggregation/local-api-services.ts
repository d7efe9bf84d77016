/**
 * The APIService objects of what this server serves itself: one for each group and version, kept in step with the kinds. Those of built-in kinds are written
 * at the start, those of definitions come and go with them. Upstream's autoregister controller.
 */
import type { APIService } from '../../api/kinds.ts';
import type { Kind } from '../../api/kind.ts';
import type { V1APIServiceCondition } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { isReplaceableGroup, localPriority } from './priorities.ts';

export const automanagedLabel = 'kube-aggregator.kubernetes.io/automanaged';

/** Written once, at the start; whoever deletes them means it until the next one. */
const onStart = 'onstart';
const always = 'true';

export type LocalService = Pick<APIService, 'spec'> & {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
};

/** Of the aggregator's own group there is none, as upstream. */
const ownGroup = 'apiregistration.k8s.io';

export function localServices(kinds: readonly Kind[]): Map<string, LocalService> {
  const services = new Map<string, LocalService>();
  for (const { group, version, custom } of kinds) {
    const name = `${version}.${group}`;
    if (group === ownGroup || services.has(name)) continue;
    const priority = localPriority(group, version);
    services.set(name, {
      metadata: { name, labels: { [automanagedLabel]: custom ? always : onStart } },
      spec: { ...(group !== '' && { group }), version, groupPriorityMinimum: priority.group, versionPriority: priority.version },
    });
  }
  return services;
}

export interface LocalPlan {
  readonly create: readonly LocalService[];
  readonly update: readonly APIService[];
  readonly remove: readonly APIService[];
}

/** What to write so that the objects are as wanted. What someone made their own (by taking the label off) stays theirs. */
export function planLocal(wanted: ReadonlyMap<string, LocalService>, present: readonly APIService[], isStart: boolean): LocalPlan {
  const create: LocalService[] = [];
  const update: APIService[] = [];
  const known = new Map(present.map((service) => [service.metadata.name, service]));
  for (const [name, service] of wanted) {
    const managed = service.metadata.labels[automanagedLabel];
    const existing = known.get(name);
    const isReplaceable = isReplaceableGroup(service.spec.group ?? '');
    // Where another server took its place, it has the place until its APIService is deleted; then it is served here again.
    if (isReplaceable && existing?.spec.service !== undefined) continue;
    if (existing === undefined) {
      if (managed === always || isStart || isReplaceable) create.push(service);
    } else if (existing.metadata.labels?.[automanagedLabel] === managed && !equal(existing.spec, service.spec) && (managed === always || isStart)) {
      update.push({ ...existing, spec: service.spec });
    }
  }
  const remove = present.filter(({ metadata: { name, labels } }) => {
    const managed = labels?.[automanagedLabel];
    return !wanted.has(name) && (managed === always || (managed === onStart && isStart));
  });
  return { create, update, remove };
}

export const localCondition: V1APIServiceCondition = {
  type: 'Available',
  status: 'True',
  reason: 'Local',
  message: 'Local APIServices are always available',
};
