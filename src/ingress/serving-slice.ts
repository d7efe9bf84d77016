/** What a node that serves says of itself: an EndpointSlice of the `k8ts-ingress` Service; from all of them together comes the status of Ingresses. Pure. */
import type { EndpointSlice, Ingress, Node } from '../api/kinds.ts';
import type { V1IngressLoadBalancerIngress } from '../api/types.ts';
import { equal } from '../machinery/equal.ts';
import { isV6 } from '../machinery/ip.ts';
import { ingressNamespace, ingressServiceName } from './names.ts';

export interface ServedPorts {
  /** Undefined for a port that could not be had. */
  readonly http: number | undefined;
  readonly https: number | undefined;
}

/** A slice holds addresses of one family. */
export function servingSliceName(nodeName: string, address: string): string {
  return `${ingressServiceName}${isV6(address) ? '6' : ''}-${nodeName}`;
}

export function servingSlice(nodeName: string, address: string, { http, https }: ServedPorts): object {
  const ports = [
    { name: 'http', port: http, protocol: 'TCP' },
    { name: 'https', port: https, protocol: 'TCP' },
  ].filter(({ port }) => port !== undefined);
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: servingSliceName(nodeName, address),
      namespace: ingressNamespace,
      labels: { 'kubernetes.io/service-name': ingressServiceName, 'endpointslice.kubernetes.io/managed-by': 'ingress.k8ts.io' },
    },
    addressType: isV6(address) ? 'IPv6' : 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: true, serving: true, terminating: false }, nodeName }],
    ports,
  };
}

/** Where Ingresses can be reached: the nodes that serve and are ready. Ports are told where they are not the usual ones. */
export function pointsOf(slices: readonly EndpointSlice[], nodes: readonly Node[]): V1IngressLoadBalancerIngress[] {
  const ready = new Set(nodes.filter(isReady).map(({ metadata }) => metadata.name));
  return slices
    .filter(({ ports = [] }) => ports.length > 0)
    .flatMap(({ endpoints, ports = [] }) =>
      (endpoints ?? [])
        .filter(({ nodeName }) => nodeName !== undefined && ready.has(nodeName))
        .map(({ addresses }): V1IngressLoadBalancerIngress => {
          const unusual = ports.flatMap(({ name, port }) =>
            port !== undefined && port !== usualPorts[name ?? ''] ? [{ port, protocol: 'TCP' }] : [],
          );
          return { ip: addresses[0] ?? '', ...(unusual.length > 0 && { ports: unusual }) };
        }),
    )
    .toSorted((a, b) => ((a.ip ?? '') < (b.ip ?? '') ? -1 : 1));
}

/** What nodes left behind that are no more. */
export function slicesOfNobody(slices: readonly EndpointSlice[], nodes: readonly Node[]): readonly EndpointSlice[] {
  const known = new Set(nodes.map(({ metadata }) => metadata.name));
  return slices.filter(({ endpoints }) => (endpoints ?? []).every(({ nodeName = '' }) => !known.has(nodeName)));
}

const usualPorts: Readonly<Record<string, number>> = { http: 80, https: 443 };

export function saysSo({ status }: Ingress, points: readonly V1IngressLoadBalancerIngress[]): boolean {
  return equal(status.loadBalancer?.ingress ?? [], points);
}

function isReady({ status }: Node): boolean {
  return status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;
}
