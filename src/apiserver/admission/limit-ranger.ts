/** LimitRanger: a namespace's limit ranges give containers default requests and limits, and refuse what is outside their bounds. */
import { LimitRange, PersistentVolumeClaim, Pod } from '../../api/kinds.ts';
import type { V1Container, V1LimitRangeItem, V1PodSpec } from '../../api/types.ts';
import { forbidden } from '../../machinery/errors.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { Registry } from '../registry/registry.ts';
import { type AdmissionPlugin, isWriteOf } from './admission.ts';

type Amounts = Readonly<Record<string, string>>;

export function limitRanger(registry: Registry): AdmissionPlugin {
  const itemsOf = (namespace: string | undefined): V1LimitRangeItem[] => registry.list(LimitRange, namespace).flatMap((range) => range.spec.limits);
  return {
    name: 'LimitRanger',
    admit(request) {
      if (!isWriteOf(request, Pod, 'CREATE')) return;
      const pod = request.object as Pod | undefined;
      if (!pod?.spec) return;
      for (const item of itemsOf(request.namespace)) if (item.type === 'Container') fillContainers(pod.spec, item);
    },
    validate(request) {
      const isPod = isWriteOf(request, Pod, 'CREATE');
      if (!isPod && !isWriteOf(request, PersistentVolumeClaim, 'CREATE')) return;
      const items = itemsOf(request.namespace);
      if (items.length === 0) return;
      const complaints = isPod
        ? podComplaints((request.object as AnyObject & Pod).spec, items)
        : claimComplaints(request.object as AnyObject & PersistentVolumeClaim, items);
      if (complaints.length > 0)
        throw forbidden(request.resource, request.name, complaints.length === 1 ? (complaints[0] ?? '') : `[${complaints.join(', ')}]`);
    },
  };
}

function fillContainers(spec: V1PodSpec, item: V1LimitRangeItem): void {
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    const { requests, limits } = container.resources ?? {};
    const filledLimits = { ...item.default, ...limits };
    const filledRequests = { ...item.defaultRequest, ...requests };
    container.resources = {
      ...container.resources,
      ...(Object.keys(filledLimits).length > 0 && { limits: filledLimits }),
      ...(Object.keys(filledRequests).length > 0 && { requests: filledRequests }),
    };
  }
}

function podComplaints(spec: V1PodSpec, items: readonly V1LimitRangeItem[]): string[] {
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  return items.flatMap((item) => {
    if (item.type === 'Container')
      return containers.flatMap((container) => boundsComplaints(item, requestsOf(container), container.resources?.limits ?? {}));
    if (item.type === 'Pod')
      return boundsComplaints(
        item,
        podTotal(spec, requestsOf),
        podTotal(spec, (container) => container.resources?.limits ?? {}),
      );
    return [];
  });
}

function claimComplaints(claim: PersistentVolumeClaim, items: readonly V1LimitRangeItem[]): string[] {
  const requests = claim.spec.resources?.requests ?? {};
  return items
    .filter((item) => item.type === 'PersistentVolumeClaim')
    .flatMap((item) => boundsComplaints({ ...item, maxLimitRequestRatio: {} }, requests, requests));
}

function requestsOf(container: V1Container): Amounts {
  return container.resources?.requests ?? {};
}

/** The sum over containers, or the largest init container where that is more. Only resources that every container states count. */
function podTotal(spec: V1PodSpec, amounts: (container: V1Container) => Amounts): Amounts {
  const total: Record<string, string> = {};
  const names = new Set(spec.containers.flatMap((container) => Object.keys(amounts(container))));
  for (const name of names) {
    let sum = Quantity.zero;
    for (const container of spec.containers) sum = sum.add(parseQuantity(amounts(container)[name] ?? '0'));
    for (const container of spec.initContainers ?? []) {
      const own = parseQuantity(amounts(container)[name] ?? '0');
      if (own.compare(sum) > 0) sum = own;
    }
    total[name] = sum.toString();
  }
  return total;
}

/** Upstream's words for each bound that does not hold. */
export function boundsComplaints(item: V1LimitRangeItem, requests: Amounts, limits: Amounts): string[] {
  const complaints: string[] = [];
  for (const [name, min] of Object.entries(item.min ?? {})) {
    const request = requests[name];
    const limit = limits[name];
    if (request === undefined) complaints.push(`minimum ${name} usage per ${item.type} is ${min}.  No request is specified`);
    else if (less(request, min)) complaints.push(`minimum ${name} usage per ${item.type} is ${min}, but request is ${request}`);
    if (limit !== undefined && less(limit, min)) complaints.push(`minimum ${name} usage per ${item.type} is ${min}, but limit is ${limit}`);
  }
  for (const [name, max] of Object.entries(item.max ?? {})) {
    const request = requests[name];
    const limit = limits[name];
    if (limit === undefined) complaints.push(`maximum ${name} usage per ${item.type} is ${max}.  No limit is specified`);
    else if (less(max, limit)) complaints.push(`maximum ${name} usage per ${item.type} is ${max}, but limit is ${limit}`);
    if (request !== undefined && less(max, request)) complaints.push(`maximum ${name} usage per ${item.type} is ${max}, but request is ${request}`);
  }
  for (const [name, ratio] of Object.entries(item.maxLimitRequestRatio ?? {})) {
    const request = parseQuantity(requests[name] ?? '0').toNumber();
    const limit = parseQuantity(limits[name] ?? '0').toNumber();
    if (request === 0)
      complaints.push(`${name} max limit to request ratio per ${item.type} is ${ratio}, but no request is specified or request is 0`);
    else if (limit === 0) complaints.push(`${name} max limit to request ratio per ${item.type} is ${ratio}, but no limit is specified or limit is 0`);
    else if (limit / request > parseQuantity(ratio).toNumber()) {
      complaints.push(`${name} max limit to request ratio per ${item.type} is ${ratio}, but provided ratio is ${(limit / request).toFixed(6)}`);
    }
  }
  return complaints;
}

function less(a: string, b: string): boolean {
  return parseQuantity(a).compare(parseQuantity(b)) < 0;
}
