/**
 * What a service says about IP families and addresses, brought to the form it is stored in: `clusterIP` and `clusterIPs` agree, families and policy are filled
 * in, what its type does not have is dropped, and what an update leaves out stays. Pure. See
 * https://kubernetes.io/docs/concepts/services-networking/dual-stack/#services
 */
import type { V1Service, V1ServicePort, V1ServiceSpec } from '../../api/types.ts';
import { type FieldError, invalidValue } from '../../machinery/field-error.ts';
import { tryParseIp } from '../../machinery/ip.ts';
import type { IpFamily } from './service-addresses.ts';

type Spec = V1ServiceSpec;

export function isHeadless(spec: Spec): boolean {
  return spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None';
}

export function wantsClusterIps(spec: Spec): boolean {
  return spec.type !== 'ExternalName' && !isHeadless(spec);
}

export function wantsNodePorts(spec: Spec): boolean {
  return spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
}

export function wantsHealthCheckPort(spec: Spec): boolean {
  return spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
}

/** Makes `clusterIP` and `clusterIPs` say the same, following whichever the client changed. */
export function normalizeClusterIps(spec: Spec, old: Spec | undefined): void {
  const { clusterIP = '', clusterIPs = [] } = spec;
  if (!old) {
    if (clusterIP !== '' && clusterIPs.length === 0) spec.clusterIPs = [clusterIP];
    return;
  }
  const changed = clusterIP !== (old.clusterIP ?? '');
  const listChanged = clusterIPs.join() !== (old.clusterIPs ?? []).join();
  if (changed && !listChanged) {
    if (clusterIP === '') delete spec.clusterIPs;
    else spec.clusterIPs = [clusterIP];
  } else if (!changed && listChanged && clusterIPs.length === 0) {
    // The list was cleared and the single field only came along.
    delete spec.clusterIP;
  }
}

/** What the old service was given and a client that knows less left out. */
export function keepAllocations(spec: Spec, old: Spec): void {
  if (wantsClusterIps(old) && wantsClusterIps(spec)) {
    if (!spec.clusterIP && !spec.clusterIPs?.length) {
      if (old.clusterIP !== undefined) spec.clusterIP = old.clusterIP;
      if (old.clusterIPs) spec.clusterIPs = [...old.clusterIPs];
    }
  }
  if (wantsNodePorts(old) && wantsNodePorts(spec)) keepNodePorts(spec.ports ?? [], old.ports ?? []);
  if (wantsHealthCheckPort(old) && wantsHealthCheckPort(spec) && !spec.healthCheckNodePort && old.healthCheckNodePort !== undefined)
    spec.healthCheckNodePort = old.healthCheckNodePort;
}

function keepNodePorts(ports: readonly V1ServicePort[], old: readonly V1ServicePort[]): void {
  const used = new Set(ports.map((port) => port.nodePort).filter((port) => port !== undefined && port !== 0));
  for (const port of ports) {
    if (port.nodePort) continue;
    const before = old.find((candidate) => candidate.port === port.port && (candidate.protocol ?? 'TCP') === (port.protocol ?? 'TCP'));
    if (before?.nodePort && !used.has(before.nodePort)) port.nodePort = before.nodePort;
  }
}

/** Drops what the new type does not have, if it was merely carried along from the old one. */
export function dropForeignFields(spec: Spec, old: Spec): void {
  if (spec.type === 'ExternalName' && old.type !== 'ExternalName') {
    if (spec.clusterIP === old.clusterIP) delete spec.clusterIP;
    if ((spec.clusterIPs ?? []).join() === (old.clusterIPs ?? []).join()) delete spec.clusterIPs;
    if (same(spec.ipFamilies, old.ipFamilies)) delete spec.ipFamilies;
    if (spec.ipFamilyPolicy === old.ipFamilyPolicy) delete spec.ipFamilyPolicy;
    if (spec.internalTrafficPolicy === old.internalTrafficPolicy) delete spec.internalTrafficPolicy;
  }
  if (wantsNodePorts(old) && !wantsNodePorts(spec) && spec.type !== 'LoadBalancer' && sameNodePorts(spec.ports ?? [], old.ports ?? [])) {
    for (const port of spec.ports ?? []) delete port.nodePort;
  }
  if (wantsHealthCheckPort(old) && !wantsHealthCheckPort(spec) && spec.healthCheckNodePort === old.healthCheckNodePort)
    delete spec.healthCheckNodePort;
  if (spec.type !== 'LoadBalancer' && old.type === 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts === old.allocateLoadBalancerNodePorts) delete spec.allocateLoadBalancerNodePorts;
    if (spec.loadBalancerClass === old.loadBalancerClass) delete spec.loadBalancerClass;
  }
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  const wasExternal = old.type === 'NodePort' || old.type === 'LoadBalancer';
  if (!external && wasExternal && spec.externalTrafficPolicy === old.externalTrafficPolicy && !spec.externalIPs?.length)
    delete spec.externalTrafficPolicy;
}

function sameNodePorts(ports: readonly V1ServicePort[], old: readonly V1ServicePort[]): boolean {
  const numbers = (list: readonly V1ServicePort[]): Set<number> => new Set(list.map((port) => port.nodePort ?? 0).filter((port) => port !== 0));
  const before = numbers(old);
  return [...numbers(ports)].every((port) => before.has(port));
}

function same(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return (a ?? []).join() === (b ?? []).join();
}

/** Fills in `ipFamilyPolicy` and `ipFamilies`; what the cluster cannot give is an error. `cluster` lists its families, the main one first. */
export function settleFamilies(service: V1Service, old: V1Service | undefined, cluster: readonly IpFamily[]): FieldError[] {
  const { spec } = service;
  if (!spec || spec.type === 'ExternalName') return [];
  const errors: FieldError[] = [];
  const before = old?.spec && old.spec.type !== 'ExternalName' ? old.spec : undefined;
  if (before) {
    spec.ipFamilyPolicy ??= before.ipFamilyPolicy;
    if (!spec.ipFamilies?.length && before.ipFamilies) spec.ipFamilies = [...before.ipFamilies];
    narrowToPolicy(spec, before);
  }
  const families = (spec.ipFamilies ??= []);
  const isAgnostic = isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0;

  for (const [index, ip] of (spec.clusterIPs ?? []).entries()) {
    const family = familyOf(ip);
    if (family && families[index] === undefined && !families.includes(family)) families.push(family);
  }
  if (spec.ipFamilyPolicy === undefined) {
    if (isAgnostic && families.length < 2) spec.ipFamilyPolicy = 'RequireDualStack';
    else spec.ipFamilyPolicy = families.length > 1 || (spec.clusterIPs ?? []).length > 1 ? 'RequireDualStack' : 'SingleStack';
  }
  const [main = 'IPv4'] = cluster;
  if (!isAgnostic) {
    if (spec.ipFamilyPolicy === 'RequireDualStack' && cluster.length < 2) {
      errors.push(invalidValue('spec.ipFamilyPolicy', spec.ipFamilyPolicy, 'this cluster is not configured for dual-stack services'));
    }
    for (const [index, family] of families.entries()) {
      if (!cluster.includes(family as IpFamily)) errors.push(invalidValue(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster'));
    }
  }
  if (spec.ipFamilyPolicy === 'SingleStack' && families.length > 1) {
    errors.push(
      invalidValue(
        'spec.ipFamilyPolicy',
        spec.ipFamilyPolicy,
        'must be RequireDualStack or PreferDualStack when multiple `ipFamilies` are specified',
      ),
    );
  }
  if (families.length === 0) families.push(main);
  const possible: readonly IpFamily[] = isAgnostic ? ['IPv4', 'IPv6'] : cluster;
  if (spec.ipFamilyPolicy !== 'SingleStack' && families.length === 1) families.push(...possible.filter((family) => family !== families[0]));
  if (isHeadless(spec)) {
    spec.clusterIP = 'None';
    spec.clusterIPs = ['None'];
  }
  return errors;
}

/** Going from two families to one keeps the first. */
function narrowToPolicy(spec: Spec, before: Spec): void {
  if (spec.ipFamilyPolicy !== 'SingleStack' || before.ipFamilyPolicy === 'SingleStack') return;
  if (same(spec.ipFamilies, before.ipFamilies) && spec.ipFamilies) spec.ipFamilies = spec.ipFamilies.slice(0, 1);
  if (same(spec.clusterIPs, before.clusterIPs) && spec.clusterIPs) spec.clusterIPs = spec.clusterIPs.slice(0, 1);
}

export function familyOf(ip: string): IpFamily | undefined {
  const address = tryParseIp(ip);
  return address && (address.family === 4 ? 'IPv4' : 'IPv6');
}
