/** Service (core/v1): one address for a changing set of pods. Its addresses and node ports are given by the server's allocators. */
import { at, duplicate, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { isIp } from '../../machinery/ip.ts';
import { dnsLabelErrors, dnsSubdomainErrors, portNumberErrors } from '../../machinery/names.ts';
import { ageColumn, column, labelsText, nameColumn } from '../columns.ts';
import { defineKind, proxySubresource, statusSubresource } from '../define-kind.ts';
import { labels, messages, portNumberOrName, requiredOneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
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
  },
  prepareForCreate(service) {
    service.status = { loadBalancer: {} };
  },
  prepareForUpdate({ spec }, old) {
    patchAllocated(spec, old.spec);
  },
  validate: ({ spec }, old) => [...validateSpec('spec', spec), ...(old === undefined ? [] : validateChange('spec', spec, old.spec))],
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

function isExternal(spec: V1ServiceSpec): boolean {
  return spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0);
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
  if (isExternal(spec)) spec.externalTrafficPolicy ||= 'Cluster';
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
  if (!isExternal(spec) && spec.externalTrafficPolicy === old.externalTrafficPolicy) delete spec.externalTrafficPolicy;
  if (old.type === 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts === old.allocateLoadBalancerNodePorts) delete spec.allocateLoadBalancerNodePorts;
    if (spec.healthCheckNodePort === old.healthCheckNodePort) delete spec.healthCheckNodePort;
    if (spec.loadBalancerClass === old.loadBalancerClass) delete spec.loadBalancerClass;
  }
}

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const protocols = ['SCTP', 'TCP', 'UDP'];
const ipWrong = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

function validateSpec(field: string, spec: V1ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const ports = spec.ports ?? [];
  const headless = spec.clusterIP === 'None';
  if (ports.length === 0 && !headless && spec.type !== 'ExternalName') errors.push(required(`${field}.ports`));
  if (spec.type === 'LoadBalancer') {
    for (const [index, { port }] of ports.entries()) {
      // The kubelet listens there on every node.
      if (port === 10250)
        errors.push(invalidValue(at(`${field}.ports`, index), port, `may not expose port 10250 externally since it is used by kubelet`));
    }
    if (headless) errors.push(invalidValue(`${field}.clusterIPs[0]`, 'None', "may not be set to 'None' for LoadBalancer services"));
  }
  if (spec.type === 'NodePort' && headless)
    errors.push(invalidValue(`${field}.clusterIPs[0]`, 'None', "may not be set to 'None' for NodePort services"));
  if (spec.type === 'ExternalName') errors.push(...validateExternalName(field, spec));
  errors.push(...validatePorts(`${field}.ports`, ports));
  errors.push(
    ...labels(`${field}.selector`, spec.selector),
    ...requiredOneOf(`${field}.sessionAffinity`, spec.sessionAffinity, ['ClientIP', 'None']),
    ...validateAffinity(`${field}.sessionAffinityConfig`, spec),
    ...validateClusterIps(field, spec),
  );
  for (const [index, ip] of (spec.externalIPs ?? []).entries())
    if (!isIp(ip)) errors.push(invalidValue(at(`${field}.externalIPs`, index), ip, ipWrong));
  errors.push(...requiredOneOf(`${field}.type`, spec.type, types), ...validateNodePorts(`${field}.ports`, ports, spec));
  const seen = new Set<string>();
  for (const [index, { port, protocol }] of ports.entries()) {
    const id = `${port}/${protocol ?? ''}`;
    if (seen.has(id)) errors.push(duplicate(at(`${field}.ports`, index), { protocol, port }));
    seen.add(id);
  }
  return [...errors, ...validatePolicies(field, spec)];
}

function validateExternalName(field: string, spec: V1ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  if ((spec.clusterIPs ?? []).length > 0) errors.push(forbiddenField(`${field}.clusterIPs`, 'may not be set for ExternalName services'));
  const name = spec.externalName ?? '';
  const host = name.endsWith('.') ? name.slice(0, -1) : name;
  return [...errors, ...(name === '' ? [required(`${field}.externalName`)] : messages(`${field}.externalName`, name, dnsSubdomainErrors(host)))];
}

function validatePorts(field: string, ports: readonly V1ServicePort[]): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, { name = '', port, protocol, targetPort }] of ports.entries()) {
    const path = at(field, index);
    if (name === '') {
      if (ports.length > 1) errors.push(required(`${path}.name`));
    } else {
      errors.push(...messages(`${path}.name`, name, dnsLabelErrors(name)));
      if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
      names.add(name);
    }
    errors.push(...messages(`${path}.port`, port, portNumberErrors(port)), ...requiredOneOf(`${path}.protocol`, protocol, protocols));
    if (targetPort !== undefined) errors.push(...portNumberOrName(`${path}.targetPort`, targetPort));
  }
  return errors;
}

function validateNodePorts(field: string, ports: readonly V1ServicePort[], spec: V1ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, { nodePort, protocol }] of ports.entries()) {
    if (nodePort === undefined || nodePort === 0) continue;
    const path = `${at(field, index)}.nodePort`;
    if (spec.type === 'ClusterIP' || spec.type === 'ExternalName')
      errors.push(forbiddenField(path, `may not be used when \`type\` is '${spec.type}'`));
    const id = `${nodePort}/${protocol ?? ''}`;
    if (seen.has(id)) errors.push(duplicate(path, nodePort));
    seen.add(id);
  }
  return errors;
}

function validateAffinity(field: string, spec: V1ServiceSpec): FieldError[] {
  if (spec.sessionAffinity !== 'ClientIP') {
    const why = `must not be set when session affinity is ${spec.sessionAffinity ?? ''}`;
    return spec.sessionAffinityConfig === undefined ? [] : [forbiddenField(field, why)];
  }
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (seconds === undefined) return [required(`${field}.clientIP.timeoutSeconds`, 'when session affinity is ClientIP')];
  return seconds > 0 && seconds <= 86400
    ? []
    : [invalidValue(`${field}.clientIP.timeoutSeconds`, seconds, 'must be greater than 0 and less than 86400')];
}

function validateClusterIps(field: string, spec: V1ServiceSpec): FieldError[] {
  const ips = spec.clusterIPs ?? (spec.clusterIP === undefined || spec.clusterIP === '' ? [] : [spec.clusterIP]);
  const errors: FieldError[] = [];
  if (spec.clusterIPs?.[0] !== undefined && spec.clusterIPs[0] !== (spec.clusterIP ?? '')) {
    errors.push(invalidValue(`${field}.clusterIPs`, spec.clusterIPs, 'first value must match `clusterIP`'));
  }
  for (const [index, ip] of ips.entries()) {
    if (ip === '' || (ip === 'None' && ips.length === 1)) continue;
    if (!isIp(ip)) errors.push(invalidValue(at(`${field}.clusterIPs`, index), ip, ipWrong));
  }
  return errors;
}

function validatePolicies(field: string, spec: V1ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (isExternal(spec)) errors.push(...requiredOneOf(`${field}.externalTrafficPolicy`, spec.externalTrafficPolicy, ['Cluster', 'Local']));
  else if ((spec.externalTrafficPolicy ?? '') !== '') {
    errors.push(invalidValue(`${field}.externalTrafficPolicy`, spec.externalTrafficPolicy, 'may only be set for externally-accessible services'));
  }
  if (spec.type !== 'ExternalName') errors.push(...requiredOneOf(`${field}.internalTrafficPolicy`, spec.internalTrafficPolicy, ['Cluster', 'Local']));
  if (spec.type !== 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts !== undefined) {
      errors.push(forbiddenField(`${field}.allocateLoadBalancerNodePorts`, "may only be used when `type` is 'LoadBalancer'"));
    }
    if (spec.loadBalancerClass !== undefined)
      errors.push(forbiddenField(`${field}.loadBalancerClass`, "may only be used when `type` is 'LoadBalancer'"));
  }
  if (spec.ipFamilyPolicy !== undefined) {
    errors.push(...requiredOneOf(`${field}.ipFamilyPolicy`, spec.ipFamilyPolicy, ['SingleStack', 'PreferDualStack', 'RequireDualStack']));
  }
  for (const [index, family] of (spec.ipFamilies ?? []).entries())
    errors.push(...requiredOneOf(at(`${field}.ipFamilies`, index), family, ['IPv4', 'IPv6']));
  return errors;
}

function validateChange(field: string, spec: V1ServiceSpec, old: V1ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const had = old.clusterIPs?.[0] ?? old.clusterIP ?? '';
  const has = spec.clusterIPs?.[0] ?? spec.clusterIP ?? '';
  if (spec.type !== 'ExternalName' && old.type !== 'ExternalName' && had !== '' && has !== had) {
    errors.push(invalidValue(`${field}.clusterIPs[0]`, spec.clusterIPs ?? [spec.clusterIP ?? ''], 'may not change once set'));
  }
  if (spec.type === 'LoadBalancer' && old.type === 'LoadBalancer' && spec.loadBalancerClass !== old.loadBalancerClass) {
    errors.push(invalidValue(`${field}.loadBalancerClass`, spec.loadBalancerClass ?? null, 'may not change once set'));
  }
  return errors;
}
