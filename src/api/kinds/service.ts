/** Service (core/v1): one address for a changing set of pods. Its addresses and node ports are given by the server's allocators. */
import { ageColumn, column, labelsText, nameColumn } from '../columns.ts';
import { at } from '../../machinery/field-error.ts';
import { defineKind, proxySubresource, statusSubresource } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import { isExternallyReached, validateService, validateServiceChange, validateServiceStatus } from './service-rules.ts';
import type { V1Service, V1ServicePort, V1ServiceSpec } from '../types.ts';

export type Service = V1Service;

export const Service: Kind<V1Service> = defineKind<V1Service>({
  kind: 'Service',
  resource: 'services',
  model: 'V1Service',
  shortNames: ['svc'],
  categories: ['all'],
  nameRule: 'dns-1035-label',
  subresources: { proxy: proxySubresource('ServiceProxyOptions'), status: statusSubresource },
  defaults({ spec, status }) {
    defaultSpec(spec);
    status.loadBalancer ??= {};
    if (spec.type === 'LoadBalancer') for (const point of status.loadBalancer.ingress ?? []) if (point.ip !== undefined) point.ipMode ??= 'VIP';
  },
  prepareForCreate(service) {
    service.status = { loadBalancer: {} };
  },
  prepareForUpdate({ spec }, old) {
    patchAllocated(spec, old.spec);
  },
  validate: ({ spec }, old) => [...validateService('spec', spec), ...(old === undefined ? [] : validateServiceChange('spec', spec, old.spec))],
  validateStatus: validateServiceStatus,
  warnings: ({ metadata, spec }) => [
    ...(topologyHints in (metadata.annotations ?? {})
      ? [`annotation ${topologyHints} is deprecated, please use service.kubernetes.io/topology-mode instead`]
      : []),
    ...(spec.clusterIPs ?? []).flatMap((ip, index) => warn.address(at('spec.clusterIPs', index), ip)),
    ...(spec.externalIPs ?? []).flatMap((ip, index) => warn.address(at('spec.externalIPs', index), ip)),
    ...warn.address('spec.loadBalancerIP', spec.loadBalancerIP),
    ...(spec.loadBalancerSourceRanges ?? []).flatMap((range, index) => warn.addressRange(at('spec.loadBalancerSourceRanges', index), range)),
    ...(spec.clusterIP === 'None' ? headlessWarnings(spec) : []),
  ],
  selectableFields: { 'spec.clusterIP': ({ spec }) => spec.clusterIP ?? '', 'spec.type': ({ spec }) => spec.type ?? '' },
  columns: [
    nameColumn,
    column('Type', 'How the Service is reached.', ({ spec }) => spec.type ?? ''),
    column('Cluster-IP', 'Its address inside the cluster.', ({ spec }) => orNone(spec.clusterIPs?.[0] ?? spec.clusterIP)),
    column('External-IP', 'Its addresses outside the cluster.', externalIps),
    column('Port(s)', 'Ports, with the port on every node after the colon.', ({ spec }) => portsText(spec.ports ?? [])),
    ageColumn,
    column('Selector', 'Labels of the pods behind it.', ({ spec }) => labelsText(spec.selector), { wide: true }),
  ],
});

function orNone(text: string | undefined): string {
  return text === undefined || text === '' ? '<none>' : text;
}

function externalIps({ spec, status }: V1Service): string {
  const given = spec.externalIPs ?? [];
  if (spec.type === 'ExternalName') return spec.externalName ?? '';
  if (spec.type !== 'LoadBalancer') return given.length === 0 ? '<none>' : given.join(',');
  const ingress = (status.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? '');
  const all = [...ingress, ...given];
  return all.length === 0 ? '<pending>' : all.join(',');
}

function portsText(ports: readonly V1ServicePort[]): string {
  if (ports.length === 0) return '<none>';
  return ports
    .map(({ port, nodePort, protocol }) => (nodePort ? `${port}:${nodePort}/${protocol ?? 'TCP'}` : `${port}/${protocol ?? 'TCP'}`))
    .join(',');
}

function defaultSpec(spec: V1ServiceSpec): void {
  spec.type ||= 'ClusterIP';
  spec.sessionAffinity ||= 'None';
  if (spec.clusterIP !== undefined && spec.clusterIP !== '' && (spec.clusterIPs ?? []).length === 0) spec.clusterIPs = [spec.clusterIP];
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'ClientIP') {
    spec.sessionAffinityConfig ??= {};
    spec.sessionAffinityConfig.clientIP ??= {};
    spec.sessionAffinityConfig.clientIP.timeoutSeconds ??= 10800;
  }
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP';
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '') port.targetPort = port.port;
  }
  if (isExternallyReached(spec)) spec.externalTrafficPolicy ||= 'Cluster';
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ||= 'Cluster';
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
}

/** Someone who updates without naming what the server gave keeps it; fields that belong to the former type go. */
function patchAllocated(spec: V1ServiceSpec, old: V1ServiceSpec): void {
  const hadIp = old.type !== 'ExternalName';
  if (hadIp && spec.type !== 'ExternalName') {
    if ((spec.clusterIP ?? '') === '' && (spec.clusterIPs ?? []).length === 0) {
      spec.clusterIP = old.clusterIP;
      spec.clusterIPs = old.clusterIPs;
    } else if (spec.clusterIP !== old.clusterIP && (spec.clusterIP ?? '') !== '' && spec.clusterIPs?.[0] === old.clusterIPs?.[0]) {
      spec.clusterIPs = spec.clusterIP === undefined ? undefined : [spec.clusterIP];
    }
    spec.ipFamilies ??= old.ipFamilies;
    spec.ipFamilyPolicy ??= old.ipFamilyPolicy;
  }
  const needsNodePorts = spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
  const hadNodePorts = old.type === 'NodePort' || old.type === 'LoadBalancer';
  if (needsNodePorts && hadNodePorts) {
    for (const port of spec.ports ?? []) {
      if (port.nodePort !== undefined && port.nodePort !== 0) continue;
      const before = old.ports?.find((other) => other.port === port.port && other.protocol === port.protocol);
      if (before?.nodePort !== undefined) port.nodePort = before.nodePort;
    }
  }
  if (spec.type === old.type) return;
  if (spec.type === 'ExternalName') {
    delete spec.clusterIP;
    delete spec.clusterIPs;
    delete spec.ipFamilies;
    delete spec.ipFamilyPolicy;
    delete spec.internalTrafficPolicy;
  }
  if (hadNodePorts && !needsNodePorts) {
    for (const port of spec.ports ?? []) {
      const before = old.ports?.find((other) => other.port === port.port && other.protocol === port.protocol);
      if (port.nodePort === before?.nodePort) delete port.nodePort;
    }
  }
  if (!isExternallyReached(spec) && spec.externalTrafficPolicy === old.externalTrafficPolicy) delete spec.externalTrafficPolicy;
  if (old.type === 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts === old.allocateLoadBalancerNodePorts) delete spec.allocateLoadBalancerNodePorts;
    if (spec.healthCheckNodePort === old.healthCheckNodePort) delete spec.healthCheckNodePort;
    if (spec.loadBalancerClass === old.loadBalancerClass) delete spec.loadBalancerClass;
  }
}

const topologyHints = 'service.kubernetes.io/topology-aware-hints';

/** Without an address of its own, a Service cannot do some things it may ask for. */
function headlessWarnings(spec: V1ServiceSpec): string[] {
  const why = 'is ignored when spec.clusterIP is "None"';
  return [
    ...((spec.loadBalancerIP ?? '') === '' ? [] : [`spec.loadBalancerIP ${why}`]),
    ...((spec.externalIPs ?? []).length === 0 ? [] : [`spec.externalIPs ${why}`]),
    ...(spec.sessionAffinity === 'None' ? [] : ['spec.SessionAffinity is ignored for headless services']),
  ];
}
