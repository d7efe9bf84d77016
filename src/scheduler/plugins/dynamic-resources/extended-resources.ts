/**
 * Extended resources (`example.com/gpu: 1`) that a device class stands for: on nodes whose device plugin does not offer them, the pod gets a claim of its own
 * for them. Upstream's KEP 5004.
 */
import type { DeviceClass, Node, ResourceClaim } from '../../../api/kinds.ts';
import type { V1Container, V1ContainerExtendedResourceRequest, V1DeviceRequest } from '../../../api/types.ts';
import { controllerOf } from '../../../machinery/object.ts';
import { parseQuantity } from '../../../machinery/quantity.ts';
import type { PodInfo } from '../../pod-info.ts';
import type { Snapshot } from '../../snapshot.ts';

export const extendedClaimAnnotation = 'resource.kubernetes.io/extended-resource-claim';
const implicitPrefix = 'deviceclass.resource.kubernetes.io/';
/** No name a claim could have: this one is not written yet. */
const inMemoryName = '<extended-resources>';

/** Class names by resource. */
export type BackedResources = ReadonlyMap<string, string>;

const none: BackedResources = new Map();

/** Of what the pod asks for: the resources that a device class stands for. */
export function backedResources({ requests }: PodInfo, { objects }: Pick<Snapshot, 'objects'>): BackedResources {
  let backed: Map<string, string> | undefined;
  for (const [name, amount] of requests) {
    if (amount === 0 || !name.includes('/')) continue;
    const deviceClass = deviceClassFor(name, objects.deviceClasses);
    if (deviceClass) (backed ??= new Map()).set(name, deviceClass.metadata.name);
  }
  return backed ?? none;
}

/** The newest that names the resource; of two as old, the first by name. */
export function deviceClassFor(resource: string, classes: Snapshot['objects']['deviceClasses']): DeviceClass | undefined {
  if (resource.startsWith(implicitPrefix)) return classes.get(resource.slice(implicitPrefix.length));
  let found: DeviceClass | undefined;
  for (const one of classes.list()) {
    if (one.spec.extendedResourceName === resource && (found === undefined || isBefore(one, found))) found = one;
  }
  return found;
}

function isBefore({ metadata: a }: DeviceClass, { metadata: b }: DeviceClass): boolean {
  const [newA, newB] = [Date.parse(a.creationTimestamp), Date.parse(b.creationTimestamp)];
  return newA === newB ? a.name < b.name : newA > newB;
}

/** The pod's claim from an attempt that came to nothing. */
export function staleClaim({ pod, namespace }: PodInfo, { objects }: Pick<Snapshot, 'objects'>): ResourceClaim | undefined {
  return objects.resourceClaims
    .list(namespace)
    .find((claim) => claim.metadata.annotations?.[extendedClaimAnnotation] === 'true' && controllerOf(claim)?.uid === pod.metadata.uid);
}

export interface ExtendedClaim {
  readonly claim: ResourceClaim;
  readonly mappings: readonly V1ContainerExtendedResourceRequest[];
}

/** The claim for what this node's device plugins do not offer; undefined when they offer everything. */
export function extendedClaim({ pod, namespace }: PodInfo, backed: BackedResources, node: Node): ExtendedClaim | undefined {
  const resources = [...backed.keys()].filter((name) => !isOffered(node, name)).sort();
  if (resources.length === 0) return undefined;
  const init = pod.spec.initContainers ?? [];
  const containers = [...init, ...pod.spec.containers];
  const requests: V1DeviceRequest[] = [];
  const mappings: V1ContainerExtendedResourceRequest[] = [];
  for (const resource of resources) {
    const wanted = requestsFor(containers, init.length, resource, backed.get(resource) ?? '');
    requests.push(...wanted.requests);
    mappings.push(...wanted.mappings);
  }
  requests.sort((a, b) => (a.name < b.name ? -1 : 1));
  const { name, uid } = pod.metadata;
  const claim: ResourceClaim = {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceClaim',
    metadata: {
      name: inMemoryName,
      generateName: `${name}-extended-resources-`,
      namespace,
      uid: `extended-resources-of-${uid}`,
      resourceVersion: '',
      creationTimestamp: pod.metadata.creationTimestamp,
      annotations: { [extendedClaimAnnotation]: 'true' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid, controller: true }],
    },
    spec: { devices: { requests } },
    status: {},
  };
  return { claim, mappings };
}

export function isOffered({ status }: Node, resource: string): boolean {
  const amount = status.allocatable?.[resource];
  return amount !== undefined && !parseQuantity(amount).isZero();
}

interface Wanted {
  readonly name: string;
  readonly count: number;
}

/**
 * Every container that stays has a request of its own. Init containers come and go: each uses what containers after it will have, and beyond that they share
 * the largest of their own requests.
 */
function requestsFor(
  containers: readonly V1Container[],
  initCount: number,
  resource: string,
  deviceClassName: string,
): { readonly requests: readonly V1DeviceRequest[]; readonly mappings: readonly V1ContainerExtendedResourceRequest[] } {
  const staying: (Wanted | undefined)[] = containers.map((container, index) => {
    const count = countOf(container, resource);
    return isPassing(container, index, initCount) || count === 0 ? undefined : { name: requestName(container, index, resource), count };
  });
  const mapping = (container: V1Container, requestName: string): V1ContainerExtendedResourceRequest => ({
    containerName: container.name,
    resourceName: resource,
    requestName,
  });
  const mappings = containers.flatMap((container, index) => {
    const own = staying[index];
    return own ? [mapping(container, own.name)] : [];
  });
  let largest: Wanted | undefined;
  const needy: V1Container[] = [];
  for (const [index, container] of containers.entries()) {
    let left = isPassing(container, index, initCount) ? countOf(container, resource) : 0;
    for (const later of staying.slice(index)) {
      if (left <= 0) break;
      if (later === undefined) continue;
      mappings.push(mapping(container, later.name));
      left -= later.count;
    }
    if (left <= 0) continue;
    needy.push(container);
    if (largest === undefined || left > largest.count) largest = { name: requestName(container, index, resource), count: left };
  }
  if (largest) for (const container of needy) mappings.push(mapping(container, largest.name));
  const wanted = [...(largest ? [largest] : []), ...staying.flatMap((one) => one ?? [])];
  return {
    requests: wanted.map(({ name, count }) => ({ name, exactly: { deviceClassName, allocationMode: 'ExactCount', count } })),
    mappings,
  };
}

function isPassing({ restartPolicy }: V1Container, index: number, initCount: number): boolean {
  return index < initCount && restartPolicy !== 'Always';
}

function countOf({ resources }: V1Container, resource: string): number {
  const amount = resources?.requests?.[resource];
  return amount === undefined ? 0 : parseQuantity(amount).value();
}

function requestName({ resources }: V1Container, index: number, resource: string): string {
  const place = Object.keys(resources?.requests ?? {})
    .sort()
    .indexOf(resource);
  return `container-${index}-request-${place}`;
}
