/** LimitRanger: a namespace's limit ranges give containers default requests and limits, and refuse what is outside their bounds. */
import { LimitRange, PersistentVolumeClaim, Pod } from '../../api/kinds.ts';
import { podLimits, podRequests } from '../../api/pods/pod-amounts.ts';
import type { V1Container, V1LimitRangeItem, V1PodSpec } from '../../api/types.ts';
import { forbidden } from '../../machinery/errors.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import type { Registry } from '../registry/registry.ts';
import { type AdmissionPlugin, type AdmissionRequest, concernsOnly, isWriteOf } from './admission.ts';

type Amounts = Readonly<Record<string, string>>;

/** Where upstream notes what it filled in. */
const annotation = 'kubernetes.io/limit-ranger';

export function limitRanger(registry: Registry): AdmissionPlugin {
  return {
    name: 'LimitRanger',
    concerns: concernsOnly(Pod, PersistentVolumeClaim),
    admit(request) {
      if (!isWriteOf(request, Pod, 'CREATE')) return;
      const pod = request.object as Pod | undefined;
      if (!pod?.spec) return;
      for (const range of registry.list(LimitRange, request.namespace)) {
        for (const item of range.spec.limits) if (item.type === 'Container') fillContainers(pod, item);
      }
    },
    validate(request) {
      const ranges = registry.list(LimitRange, request.namespace);
      if (ranges.length === 0) return;
      const complaints = ranges.flatMap((range) => complaintsOf(request, range.spec.limits));
      if (complaints.length === 0) return;
      throw forbidden(request.resource, request.name, complaints.length === 1 ? (complaints[0] ?? '') : `[${complaints.join(', ')}]`);
    },
  };
}

/** A pod's resources change by `resize` alone; a claim's by update. */
function complaintsOf(request: AdmissionRequest, items: readonly V1LimitRangeItem[]): string[] {
  if (!request.object) return [];
  const resized = request.operation === 'UPDATE' && request.subresource === 'resize' && request.kind.resource === 'pods';
  if (resized || isWriteOf(request, Pod, 'CREATE')) return podComplaints((request.object as object as Pod).spec, items);
  if (isWriteOf(request, PersistentVolumeClaim, 'CREATE', 'UPDATE')) return claimComplaints(request.object as object as PersistentVolumeClaim, items);
  return [];
}

function fillContainers({ metadata, spec }: Pod, item: V1LimitRangeItem): void {
  const notes: string[] = [];
  for (const container of spec.containers) notes.push(...fillContainer(container, item, 'container'));
  for (const container of spec.initContainers ?? []) notes.push(...fillContainer(container, item, 'init container'));
  if (notes.length > 0) metadata.annotations = { ...metadata.annotations, [annotation]: `LimitRanger plugin set: ${notes.join('; ')}` };
}

/** Fills in what is not said, and answers upstream's words for it. */
function fillContainer(container: V1Container, item: V1LimitRangeItem, words: string): string[] {
  const { requests, limits } = container.resources ?? {};
  const newLimits = missing(item.default, limits);
  const newRequests = missing(item.defaultRequest, requests);
  if (newLimits.length === 0 && newRequests.length === 0) return [];
  container.resources = {
    ...container.resources,
    ...(newLimits.length > 0 && { limits: { ...item.default, ...limits } }),
    ...(newRequests.length > 0 && { requests: { ...item.defaultRequest, ...requests } }),
  };
  const note = (names: readonly string[], what: string): string[] =>
    names.length === 0 ? [] : [`${names.toSorted().join(', ')} ${what} for ${words} ${container.name}`];
  return [...note(newRequests, 'request'), ...note(newLimits, 'limit')];
}

function missing(defaults: Amounts | undefined, own: Amounts | undefined): string[] {
  return Object.keys(defaults ?? {}).filter((name) => own?.[name] === undefined);
}

function podComplaints(spec: V1PodSpec, items: readonly V1LimitRangeItem[]): string[] {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  return items.flatMap((item) => {
    if (item.type === 'Container')
      return containers.flatMap(({ resources }) => boundsComplaints(item, resources?.requests ?? {}, resources?.limits ?? {}));
    if (item.type === 'Pod') return boundsComplaints(item, texts(podRequests(spec)), texts(podLimits(spec)));
    return [];
  });
}

function texts(amounts: ReturnType<typeof podRequests>): Amounts {
  return Object.fromEntries([...amounts].map(([name, amount]) => [name, amount.toString()]));
}

/** A claim has requests only. */
function claimComplaints(claim: PersistentVolumeClaim, items: readonly V1LimitRangeItem[]): string[] {
  const requests = claim.spec.resources?.requests ?? {};
  return items
    .filter(({ type }) => type === 'PersistentVolumeClaim')
    .flatMap(({ type, min = {}, max = {} }) => [
      ...Object.entries(min).flatMap(([name, least]) => minComplaint(type, name, least, requests[name], undefined) ?? []),
      ...Object.entries(max).flatMap(([name, most]) => {
        const words = `maximum ${name} usage per ${type} is ${most}`;
        const request = requests[name];
        if (request === undefined) return [`${words}.  No request is specified`];
        return less(most, request) ? [`${words}, but request is ${request}`] : [];
      }),
    ]);
}

/** Upstream's words for each bound that does not hold. */
export function boundsComplaints(item: V1LimitRangeItem, requests: Amounts, limits: Amounts): string[] {
  const { type, min = {}, max = {}, maxLimitRequestRatio = {} } = item;
  return [
    ...Object.entries(min).map(([name, least]) => minComplaint(type, name, least, requests[name], limits[name])),
    ...Object.entries(max).map(([name, most]) => maxComplaint(type, name, most, requests[name], limits[name])),
    ...Object.entries(maxLimitRequestRatio).map(([name, ratio]) => ratioComplaint(type, name, ratio, requests[name] ?? '0', limits[name] ?? '0')),
  ].filter((complaint) => complaint !== undefined);
}

type Amount = string | undefined;

function minComplaint(type: string, name: string, min: string, request: Amount, limit: Amount): string | undefined {
  const words = `minimum ${name} usage per ${type} is ${min}`;
  if (request === undefined) return `${words}.  No request is specified`;
  if (less(request, min)) return `${words}, but request is ${request}`;
  return limit !== undefined && less(limit, min) ? `${words}, but limit is ${limit}` : undefined;
}

function maxComplaint(type: string, name: string, max: string, request: Amount, limit: Amount): string | undefined {
  const words = `maximum ${name} usage per ${type} is ${max}`;
  if (limit === undefined) return `${words}.  No limit is specified`;
  if (less(max, limit)) return `${words}, but limit is ${limit}`;
  return request !== undefined && less(max, request) ? `${words}, but request is ${request}` : undefined;
}

function ratioComplaint(type: string, name: string, ratio: string, requestText: string, limitText: string): string | undefined {
  const words = `${name} max limit to request ratio per ${type} is ${ratio}`;
  const request = parseQuantity(requestText).toNumber();
  const limit = parseQuantity(limitText).toNumber();
  if (request === 0) return `${words}, but no request is specified or request is 0`;
  if (limit === 0) return `${words}, but no limit is specified or limit is 0`;
  return limit / request > parseQuantity(ratio).toNumber() ? `${words}, but provided ratio is ${(limit / request).toFixed(6)}` : undefined;
}

function less(a: string, b: string): boolean {
  return parseQuantity(a).compare(parseQuantity(b)) < 0;
}
