/** Which objects a resource quota looks at: all of its namespace, or those in its scopes. https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes */
import type { Kind } from '../kind.ts';
import type { PersistentVolumeClaim } from '../kinds/persistent-volume-claim.ts';
import type { Pod } from '../kinds/pod.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { qosClassOf } from '../pods/qos.ts';
import type { V1Affinity, V1ResourceQuotaSpec, V1ScopedResourceSelectorRequirement } from '../types.ts';

/** True when the object is in every scope of the quota. Only pods and claims can be in one. */
export function isInScope(spec: V1ResourceQuotaSpec, kind: Pick<Kind, 'group' | 'resource'>, object: KubeObject): boolean {
  const selectors = scopesOf(spec);
  if (selectors.length === 0) return true;
  if (kind.group !== '') return false;
  if (kind.resource === 'pods') return selectors.every((selector) => podMatches(selector, object as Pod));
  if (kind.resource === 'persistentvolumeclaims') return selectors.every((selector) => claimMatches(selector, object as PersistentVolumeClaim));
  return false;
}

function scopesOf({ scopes = [], scopeSelector }: V1ResourceQuotaSpec): V1ScopedResourceSelectorRequirement[] {
  return [...scopes.map((scopeName) => ({ scopeName, operator: 'Exists' })), ...(scopeSelector?.matchExpressions ?? [])];
}

function podMatches(selector: V1ScopedResourceSelectorRequirement, { spec }: Pod): boolean {
  switch (selector.scopeName) {
    case 'Terminating':
      return isTerminating(spec.activeDeadlineSeconds);
    case 'NotTerminating':
      return !isTerminating(spec.activeDeadlineSeconds);
    case 'BestEffort':
      return qosClassOf(spec) === 'BestEffort';
    case 'NotBestEffort':
      return qosClassOf(spec) !== 'BestEffort';
    case 'PriorityClass':
      return valueMatches(selector, spec.priorityClassName ?? '');
    case 'CrossNamespacePodAffinity':
      return reachesAcross(spec.affinity);
    default:
      return false;
  }
}

function claimMatches(selector: V1ScopedResourceSelectorRequirement, { spec, status }: PersistentVolumeClaim): boolean {
  if (selector.scopeName !== 'VolumeAttributesClass') return false;
  const names = [
    spec.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ].flatMap((name) => (name === undefined || name === '' ? [] : [name]));
  return names.length === 0 ? valueMatches(selector, '') : names.some((name) => valueMatches(selector, name));
}

function isTerminating(activeDeadlineSeconds: number | undefined): boolean {
  return activeDeadlineSeconds !== undefined && activeDeadlineSeconds >= 0;
}

function valueMatches({ operator, values = [] }: V1ScopedResourceSelectorRequirement, value: string): boolean {
  switch (operator) {
    case 'Exists':
      return value !== '';
    case 'DoesNotExist':
      return value === '';
    case 'In':
      return value !== '' && values.includes(value);
    case 'NotIn':
      return !values.includes(value);
    default:
      return false;
  }
}

/** Affinity to pods of other namespaces: a term that names some, or selects them. */
function reachesAcross(affinity: V1Affinity | undefined): boolean {
  const terms = [affinity?.podAffinity, affinity?.podAntiAffinity].flatMap((pods) => [
    ...(pods?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(pods?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ podAffinityTerm }) => podAffinityTerm),
  ]);
  return terms.some(({ namespaces, namespaceSelector }) => (namespaces?.length ?? 0) > 0 || namespaceSelector !== undefined);
}
