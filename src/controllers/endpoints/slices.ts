/**
 * Fits endpoints into slices of at most a hundred (or as many as is said) with as few writes as can be: endpoints stay in the slice they are in, new ones fill what has room,
 * and only the rest makes new slices. A pure function; upstream's `endpointslice/reconciler.go`.
 */
import type { EndpointSlice } from '../../api/kinds.ts';
import type { DiscoveryV1EndpointPort, V1Endpoint } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';

export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';

type Marks = Readonly<Record<string, string>>;

/** Endpoints that share their ports, of one family. */
export interface EndpointGroup {
  readonly addressType: string;
  readonly ports: readonly DiscoveryV1EndpointPort[];
  readonly endpoints: readonly V1Endpoint[];
}

/** A slice to be made. */
export interface SliceContent {
  readonly addressType: string;
  readonly ports: DiscoveryV1EndpointPort[];
  readonly endpoints: V1Endpoint[];
}

export interface SlicePlan {
  readonly create: readonly SliceContent[];
  readonly update: readonly EndpointSlice[];
  readonly delete: readonly EndpointSlice[];
}

/**
 * `labels` (and `annotations`, where others than the writer have a say) are what every slice must carry; an empty group stands for "an empty slice, so that one
 * sees there is none".
 */
export function planSlices(
  existing: readonly EndpointSlice[],
  groups: readonly EndpointGroup[],
  labels: Marks,
  largestSlice: number,
  annotations?: Marks,
): SlicePlan {
  const create: SliceContent[] = [];
  const update: EndpointSlice[] = [];
  const unused = new Set(existing);
  for (const group of groups) {
    const mine = existing.filter(
      (slice) => unused.has(slice) && slice.addressType === group.addressType && samePorts(slice.ports ?? [], group.ports),
    );
    for (const slice of mine) unused.delete(slice);
    const fitted = fit(mine, group, largestSlice);
    create.push(...fitted.create);
    for (const [slice, endpoints] of fitted.kept) {
      if (endpoints.length === 0 && (group.endpoints.length > 0 || slice !== mine[0])) {
        unused.add(slice);
      } else if (!equal(endpoints, slice.endpoints ?? []) || !hasMarks(slice, labels, annotations)) {
        update.push({ ...slice, metadata: { ...slice.metadata, labels, ...(annotations && { annotations }) }, endpoints });
      }
    }
  }
  return { create, update, delete: [...unused].filter((slice) => slice.metadata.deletionTimestamp === undefined) };
}

function hasMarks({ metadata }: EndpointSlice, labels: Marks, annotations: Marks | undefined): boolean {
  return equal(labels, metadata.labels) && (annotations === undefined || equal(annotations, metadata.annotations ?? {}));
}

function fit(
  slices: readonly EndpointSlice[],
  group: EndpointGroup,
  largestSlice: number,
): { kept: Map<EndpointSlice, V1Endpoint[]>; create: SliceContent[] } {
  const waiting = new Map(group.endpoints.map((endpoint) => [identity(endpoint), endpoint]));
  const kept = new Map<EndpointSlice, V1Endpoint[]>();
  for (const slice of slices) {
    const staying: V1Endpoint[] = [];
    for (const endpoint of slice.endpoints ?? []) {
      const key = identity(endpoint);
      const wanted = waiting.get(key);
      if (!wanted || staying.length === largestSlice) continue;
      waiting.delete(key);
      staying.push(wanted);
    }
    kept.set(slice, staying);
  }

  const rest = [...waiting.values()];
  // Slices that change anyway are filled first, the fullest before the others.
  const fullest = [...kept.entries()].sort(
    ([a, x], [b, y]) => Number(equal(x, a.endpoints ?? [])) - Number(equal(y, b.endpoints ?? [])) || y.length - x.length,
  );
  for (const [, endpoints] of fullest) {
    if (rest.length === 0) break;
    endpoints.push(...rest.splice(0, largestSlice - endpoints.length));
  }
  const create: SliceContent[] = [];
  const content = (endpoints: V1Endpoint[]): SliceContent => ({ addressType: group.addressType, ports: [...group.ports], endpoints });
  while (rest.length > 0) create.push(content(rest.splice(0, largestSlice)));
  if (group.endpoints.length === 0 && slices.length === 0) create.push(content([]));
  return { kept, create };
}

/** What makes an endpoint the same one as before: who it is, or where when it is nobody. */
function identity({ addresses, targetRef, hostname }: V1Endpoint): string {
  return `${targetRef?.uid ?? ''}/${addresses[0] ?? ''}/${hostname ?? ''}`;
}

function samePorts(a: readonly DiscoveryV1EndpointPort[], b: readonly DiscoveryV1EndpointPort[]): boolean {
  return portsKey(a) === portsKey(b);
}

/** Equal for the same ports in whatever order. */
export function portsKey(ports: readonly DiscoveryV1EndpointPort[]): string {
  return ports
    .map(({ name = '', port, protocol = 'TCP', appProtocol = '' }) => `${name}/${port}/${protocol}/${appProtocol}`)
    .sort()
    .join();
}
