/** The `kubernetes` Service: how pods find the API server. It has no selector; the server says itself where it is. */
import type { Endpoints, EndpointSlice, Service } from '../../api/kinds.ts';
import type { Draft } from '../../machinery/object.ts';
import { formatIp, nthIp, parseCidr } from '../../machinery/ip.ts';

export interface Advertised {
  readonly address: string;
  readonly port: number;
}

export interface KubernetesService {
  readonly service: Draft<Service>;
  readonly endpoints: Draft<Endpoints> | undefined;
  readonly slice: Draft<EndpointSlice> | undefined;
}

const identity = { name: 'kubernetes', namespace: 'default' } as const;
const portName = 'https';

/** A machine without a network knows no other address; as an endpoint it would be refused, and lead every pod to itself. */
function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

export function kubernetesService(serviceCidr: string, advertise: Advertised | undefined): KubernetesService {
  const clusterIP = formatIp(nthIp(parseCidr(serviceCidr), 1));
  const service: Draft<Service> = {
    metadata: { ...identity, labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ports: [{ name: portName, port: 443, protocol: 'TCP', targetPort: advertise?.port ?? 443 }],
      sessionAffinity: 'None',
    },
  };
  if (advertise === undefined || isLoopback(advertise.address)) return { service, endpoints: undefined, slice: undefined };
  const { address, port } = advertise;
  return {
    service,
    endpoints: {
      metadata: { ...identity, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
      subsets: [{ addresses: [{ ip: address }], ports: [{ name: portName, port, protocol: 'TCP' }] }],
    },
    slice: {
      metadata: { ...identity, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      addressType: address.includes(':') ? 'IPv6' : 'IPv4',
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports: [{ name: portName, port, protocol: 'TCP' }],
    },
  };
}
