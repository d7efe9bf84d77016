/**
 * What an object counts for in a resource quota: `pods`, `requests.cpu`, `services.nodeports`, `count/deployments.apps`. Asked by admission before the
 * object is stored and by the controller that counts again. Follows upstream's quota evaluators (`pkg/quota/v1/evaluator/core`).
 */
import type { Kind } from '../kind.ts';
import type { PersistentVolumeClaim } from '../kinds/persistent-volume-claim.ts';
import type { Pod } from '../kinds/pod.ts';
import type { Service } from '../kinds/service.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { qualifiedResource } from '../../machinery/errors.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { type Amounts, podLimits, podRequests } from '../pods/pod-amounts.ts';
import type { V1Container, V1ResourceRequirements } from '../types.ts';

type KindName = Pick<Kind, 'group' | 'resource'>;

const one = Quantity.of(1);
const classSuffix = '.storageclass.storage.k8s.io/';
const computed: ReadonlySet<string> = new Set(['cpu', 'memory', 'ephemeral-storage']);
/** Kinds that are counted under their plain name, too. */
const plainCounts: ReadonlySet<string> = new Set(['/configmaps', '/secrets', '/replicationcontrollers', '/resourcequotas']);

/** What one object counts for. `nowMs` tells whether a pod that is being deleted still has its time. */
export function usageOf(kind: KindName, object: KubeObject, nowMs: number): Amounts {
  const usage = new Map<string, Quantity>([[`count/${qualifiedResource(kind)}`, one]]);
  switch (`${kind.group}/${kind.resource}`) {
    case '/pods':
      countPod(usage, object as Pod, nowMs);
      break;
    case '/services':
      countService(usage, object as Service);
      break;
    case '/persistentvolumeclaims':
      countClaim(usage, object as PersistentVolumeClaim);
      break;
    default:
      if (plainCounts.has(`${kind.group}/${kind.resource}`)) usage.set(kind.resource, one);
  }
  return usage;
}

/** Whether objects of the kind can count for a resource of a quota. */
export function countsFor(kind: KindName, resource: string): boolean {
  if (resource.startsWith('count/')) return resource === `count/${qualifiedResource(kind)}`;
  switch (`${kind.group}/${kind.resource}`) {
    case '/pods':
      return isPodResource(resource);
    case '/services':
      return resource === 'services' || resource === 'services.nodeports' || resource === 'services.loadbalancers';
    case '/persistentvolumeclaims':
      return resource === 'persistentvolumeclaims' || resource === 'requests.storage' || resource.includes(classSuffix);
    default:
      return resource === kind.resource && plainCounts.has(`${kind.group}/${kind.resource}`);
  }
}

function isPodResource(resource: string): boolean {
  if (resource === 'pods') return true;
  if (computed.has(resource) || resource.startsWith('hugepages-')) return true;
  if (resource.startsWith('limits.')) return computed.has(resource.slice('limits.'.length));
  if (!resource.startsWith('requests.') || resource.includes(classSuffix)) return false;
  const name = resource.slice('requests.'.length);
  return computed.has(name) || name.startsWith('hugepages-') || name.includes('/');
}

/** A pod that runs nothing any more, and never will again, uses nothing but its place in the store. */
export function isSpent({ metadata, status }: Pod, nowMs: number): boolean {
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded') return true;
  const { deletionTimestamp, deletionGracePeriodSeconds } = metadata;
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds !== undefined && nowMs > Date.parse(deletionTimestamp);
}

function countPod(usage: Map<string, Quantity>, pod: Pod, nowMs: number): void {
  if (isSpent(pod, nowMs)) return;
  usage.set('pods', one);
  for (const [name, amount] of podRequests(pod.spec)) {
    if (computed.has(name) || name.startsWith('hugepages-')) usage.set(name, amount);
    usage.set(`requests.${name}`, amount);
  }
  for (const [name, amount] of podLimits(pod.spec)) if (computed.has(name)) usage.set(`limits.${name}`, amount);
}

function countService(usage: Map<string, Quantity>, { spec }: Service): void {
  usage.set('services', one);
  const ports = Quantity.of((spec.ports ?? []).length);
  if (spec.type === 'NodePort') usage.set('services.nodeports', ports);
  if (spec.type === 'LoadBalancer') {
    usage.set('services.loadbalancers', one);
    const allocated =
      spec.allocateLoadBalancerNodePorts === false ? Quantity.of((spec.ports ?? []).filter(({ nodePort }) => nodePort !== undefined).length) : ports;
    usage.set('services.nodeports', allocated);
  }
}

function countClaim(usage: Map<string, Quantity>, { metadata, spec, status }: PersistentVolumeClaim): void {
  usage.set('persistentvolumeclaims', one);
  const storageClass = metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? spec.storageClassName ?? '';
  if (storageClass !== '') usage.set(`${storageClass}${classSuffix}persistentvolumeclaims`, one);
  const asked = spec.resources?.requests?.['storage'];
  if (asked === undefined) return;
  // A claim being shrunk back after a resize that failed still holds what was allocated.
  const allocated = status?.allocatedResources?.['storage'];
  const request = parseQuantity(asked);
  const size = allocated !== undefined && parseQuantity(allocated).compare(request) > 0 ? parseQuantity(allocated) : request;
  usage.set('requests.storage', size);
  if (storageClass !== '') usage.set(`${storageClass}${classSuffix}requests.storage`, size);
}

const mustBeSaid: readonly string[] = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'];

/**
 * Where a quota bounds cpu or memory, every container must say what it needs, or nobody could add it up. Answers upstream's words for those that do not;
 * undefined when all do.
 */
export function unsaid(pod: Pod, resources: readonly string[]): string | undefined {
  const said = (requirements: V1ResourceRequirements | undefined, resource: string): boolean => {
    if (resource.startsWith('limits.')) return requirements?.limits?.[resource.slice('limits.'.length)] !== undefined;
    return requirements?.requests?.[resource.replace(/^requests\./, '')] !== undefined;
  };
  const containers: readonly V1Container[] = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const missing = resources
    .filter((resource) => mustBeSaid.includes(resource) && !said(pod.spec.resources, resource))
    .toSorted()
    .flatMap((resource) => {
      const silent = containers.filter(({ resources: own }) => !said(own, resource)).map(({ name }) => name);
      return silent.length === 0 ? [] : [`${resource} for: ${[...new Set(silent)].toSorted().join(',')}`];
    });
  return missing.length === 0 ? undefined : `must specify ${missing.join('; ')}`;
}
