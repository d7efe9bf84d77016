/** Rules for Services: which parts go with which type, and what cannot change. Follows `ValidateService` and `ValidateServiceUpdate`. */
import { at, duplicate, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { isIp, tryParseIp } from '../../machinery/ip.ts';
import { dnsLabelErrors, dnsSubdomainErrors, portNumberErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import { cidr, ipAddress, labels, messages, noDuplicates, oneOf, portNumberOrName, requiredOneOf } from '../field-checks.ts';
import type { V1Service, V1ServicePort, V1ServiceSpec } from '../types.ts';
import { endpointAddress } from './endpoint-address.ts';

/** From outside of the cluster, by whatever way. */
export function isExternallyReached(spec: V1ServiceSpec): boolean {
  return spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0);
}

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const protocols = ['SCTP', 'TCP', 'UDP'];

export function validateService(field: string, spec: V1ServiceSpec): FieldError[] {
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
    errors.push(...ipAddress(at(`${field}.externalIPs`, index), ip), ...endpointAddress(at(`${field}.externalIPs`, index), ip));
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
  const why = 'may not be set for ExternalName services';
  for (const name of ['clusterIPs', 'ipFamilies'] as const) if ((spec[name] ?? []).length > 0) errors.push(forbiddenField(`${field}.${name}`, why));
  if (spec.ipFamilyPolicy !== undefined) errors.push(forbiddenField(`${field}.ipFamilyPolicy`, why));
  const name = spec.externalName ?? '';
  const host = name.endsWith('.') ? name.slice(0, -1) : name;
  return [...errors, ...(name === '' ? [required(`${field}.externalName`)] : messages(`${field}.externalName`, name, dnsSubdomainErrors(host)))];
}

function validatePorts(field: string, ports: readonly V1ServicePort[]): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, { name = '', port, protocol, targetPort, appProtocol }] of ports.entries()) {
    const path = at(field, index);
    if (name === '') {
      if (ports.length > 1) errors.push(required(`${path}.name`));
    } else {
      errors.push(...messages(`${path}.name`, name, dnsLabelErrors(name)));
      if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
      names.add(name);
    }
    errors.push(...messages(`${path}.port`, port, portNumberErrors(port)), ...requiredOneOf(`${path}.protocol`, protocol, protocols));
    if (appProtocol !== undefined) errors.push(...messages(`${path}.appProtocol`, appProtocol, qualifiedNameErrors(appProtocol)));
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
  const path = `${field}.clusterIPs`;
  const errors: FieldError[] = [];
  if (spec.clusterIPs?.[0] !== undefined && spec.clusterIPs[0] !== (spec.clusterIP ?? ''))
    errors.push(invalidValue(path, spec.clusterIPs, 'first value must match `clusterIP`'));
  if (ips.length > maxFamilies) errors.push(invalidValue(path, ips, `may only hold up to ${maxFamilies} values`));
  for (const [index, ip] of ips.entries()) {
    if (ip === 'None') {
      if (ips.length > 1) errors.push(invalidValue(at(path, index), ip, "'None' must be the first and only value"));
    } else if (ip !== '') errors.push(...ipAddress(at(path, index), ip));
    const [family, wanted] = [familyOf(ip), spec.ipFamilies?.[index]];
    if (family !== undefined && wanted !== undefined && family !== wanted) {
      const why = `expected an ${wanted} value as indicated by \`ipFamilies[${index}]\``;
      errors.push(invalidValue(at(path, index), ip, why));
    }
  }
  const [first, second] = ips.map(familyOf);
  if (ips.length === 2 && first !== undefined && first === second)
    errors.push(invalidValue(path, ips, 'may specify no more than one IP for each IP family'));
  return errors;
}

const maxFamilies = 2;

function familyOf(ip: string): 'IPv4' | 'IPv6' | undefined {
  const family = tryParseIp(ip)?.family;
  return family === undefined ? undefined : family === 4 ? 'IPv4' : 'IPv6';
}

function validatePolicies(field: string, spec: V1ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (isExternallyReached(spec)) errors.push(...requiredOneOf(`${field}.externalTrafficPolicy`, spec.externalTrafficPolicy, ['Cluster', 'Local']));
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
  errors.push(...validateLoadBalancer(field, spec), ...oneOf(`${field}.trafficDistribution`, spec.trafficDistribution, distributions));
  if (spec.ipFamilyPolicy !== undefined) {
    errors.push(...requiredOneOf(`${field}.ipFamilyPolicy`, spec.ipFamilyPolicy, ['SingleStack', 'PreferDualStack', 'RequireDualStack']));
  }
  const families = spec.ipFamilies ?? [];
  if (families.length > maxFamilies) errors.push(invalidValue(`${field}.ipFamilies`, families, `may only hold up to ${maxFamilies} values`));
  errors.push(...noDuplicates(`${field}.ipFamilies`, families));
  for (const [index, family] of families.entries()) errors.push(...requiredOneOf(at(`${field}.ipFamilies`, index), family, ['IPv4', 'IPv6']));
  return errors;
}

const distributions = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];

/** What only a load balancer has. */
function validateLoadBalancer(field: string, spec: V1ServiceSpec): FieldError[] {
  const { loadBalancerSourceRanges: ranges = [], loadBalancerClass, healthCheckNodePort: healthPort = 0 } = spec;
  const errors: FieldError[] = [];
  if (ranges.length > 0 && spec.type !== 'LoadBalancer')
    errors.push(forbiddenField(`${field}.loadBalancerSourceRanges`, "may only be used when `type` is 'LoadBalancer'"));
  else errors.push(...ranges.flatMap((range, index) => cidr(at(`${field}.loadBalancerSourceRanges`, index), range.trim())));
  if (loadBalancerClass !== undefined && spec.type === 'LoadBalancer')
    errors.push(...messages(`${field}.loadBalancerClass`, loadBalancerClass, qualifiedNameErrors(loadBalancerClass)));
  if (healthPort !== 0 && (spec.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local')) {
    const why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    errors.push(invalidValue(`${field}.healthCheckNodePort`, healthPort, why));
  }
  return errors;
}

export function validateServiceStatus({ spec, status }: V1Service): FieldError[] {
  const field = 'status.loadBalancer';
  const points = status.loadBalancer?.ingress ?? [];
  if (points.length > 0 && spec.type !== 'LoadBalancer')
    return [forbiddenField(`${field}.ingress`, "may only be used when `spec.type` is 'LoadBalancer'")];
  return points.flatMap(({ ip = '', hostname = '', ipMode }, index) => {
    const path = at(`${field}.ingress`, index);
    const errors = ip === '' ? [] : ipAddress(`${path}.ip`, ip);
    if (ip === '' && ipMode !== undefined) errors.push(forbiddenField(`${path}.ipMode`, 'may not be specified when `ip` is not set'));
    if (ip !== '' && ipMode === undefined) errors.push(required(`${path}.ipMode`, 'must be specified when `ip` is set'));
    errors.push(...oneOf(`${path}.ipMode`, ipMode, ['Proxy', 'VIP']));
    if (hostname === '') return errors;
    if (isIp(hostname)) return [...errors, invalidValue(`${path}.hostname`, hostname, 'must be a DNS name, not an IP address')];
    return [...errors, ...messages(`${path}.hostname`, hostname, dnsSubdomainErrors(hostname))];
  });
}

export function validateServiceChange(field: string, spec: V1ServiceSpec, old: V1ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const had = old.clusterIPs?.[0] ?? old.clusterIP ?? '';
  const has = spec.clusterIPs?.[0] ?? spec.clusterIP ?? '';
  if (spec.type !== 'ExternalName' && old.type !== 'ExternalName' && had !== '' && has !== had) {
    errors.push(invalidValue(`${field}.clusterIPs[0]`, spec.clusterIPs ?? [spec.clusterIP ?? ''], 'may not change once set'));
  }
  const [hadFamily, hasFamily] = [old.ipFamilies?.[0], spec.ipFamilies?.[0]];
  if (spec.type !== 'ExternalName' && old.type !== 'ExternalName' && hadFamily !== undefined && hasFamily !== undefined && hadFamily !== hasFamily)
    errors.push(invalidValue(`${field}.ipFamilies[0]`, spec.ipFamilies, 'may not change once set'));
  if (spec.type === 'LoadBalancer' && old.type === 'LoadBalancer' && spec.loadBalancerClass !== old.loadBalancerClass) {
    errors.push(invalidValue(`${field}.loadBalancerClass`, spec.loadBalancerClass ?? null, 'may not change once set'));
  }
  return errors;
}
