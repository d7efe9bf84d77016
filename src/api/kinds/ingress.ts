/** Ingress (networking.k8s.io/v1): HTTP routes from outside to Services. */
import { at, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { isIp } from '../../machinery/ip.ts';
import { dnsLabelErrors, dnsSubdomainErrors, pathSegmentErrors, portNameErrors, wildcardSubdomainErrors } from '../../machinery/names.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { ipAddress, messages, optionalName, portNumber, requiredName, requiredOneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import type { V1HTTPIngressPath, V1Ingress, V1IngressBackend, V1IngressLoadBalancerIngress, V1IngressSpec, V1ObjectMeta } from '../types.ts';

export type Ingress = V1Ingress;

const classAnnotation = 'kubernetes.io/ingress.class';

export const Ingress: Kind<V1Ingress> = defineKind<V1Ingress>({
  group: 'networking.k8s.io',
  kind: 'Ingress',
  resource: 'ingresses',
  model: 'V1Ingress',
  shortNames: ['ing'],
  generation: true,
  subresources: { status: statusSubresource },
  defaults({ status }) {
    status.loadBalancer ??= {};
  },
  prepareForCreate(ingress) {
    ingress.status = { loadBalancer: {} };
  },
  validate: ({ metadata, spec }, old) => [...validateSpec('spec', spec), ...(old === undefined ? validateClassOnce(metadata, spec) : [])],
  validateStatus: ({ status }) => validateLoadBalancer('status.loadBalancer.ingress', status.loadBalancer?.ingress ?? []),
  warnings: ({ metadata }, old) =>
    old === undefined && metadata.annotations?.[classAnnotation] !== undefined
      ? [`annotation ${JSON.stringify(classAnnotation)} is deprecated, please use 'spec.ingressClassName' instead`]
      : [],
  columns: [
    nameColumn,
    column('Class', 'Who serves it.', ({ metadata, spec }) => spec.ingressClassName ?? metadata.annotations?.[classAnnotation] ?? '<none>'),
    column('Hosts', 'Host names it answers to.', hostsText),
    column('Address', 'Where it is reached.', ({ status }) =>
      (status.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? '').join(','),
    ),
    column('Ports', '80, and 443 with TLS.', ({ spec }) => ((spec.tls ?? []).length > 0 ? '80, 443' : '80')),
    ageColumn,
  ],
});

function hostsText({ spec }: V1Ingress): string {
  const hosts = (spec.rules ?? []).flatMap(({ host }) => (host === undefined || host === '' ? [] : [host]));
  const shown = hosts.slice(0, 3).join(',');
  if (hosts.length === 0) return '*';
  return hosts.length > 3 ? `${shown} + ${hosts.length - 3} more...` : shown;
}

function validateSpec(field: string, spec: V1IngressSpec): FieldError[] {
  const errors: FieldError[] = [];
  if ((spec.rules ?? []).length === 0 && spec.defaultBackend === undefined)
    errors.push(invalidValue(field, spec.rules ?? [], 'either `defaultBackend` or `rules` must be specified'));
  if (spec.defaultBackend !== undefined) errors.push(...validateBackend(`${field}.defaultBackend`, spec.defaultBackend));
  for (const [index, { host = '', http }] of (spec.rules ?? []).entries()) {
    const path = at(`${field}.rules`, index);
    if (host !== '') errors.push(...validateHost(`${path}.host`, host));
    if (http === undefined) continue;
    if ((http.paths ?? []).length === 0) errors.push(required(`${path}.http.paths`));
    for (const [which, route] of (http.paths ?? []).entries()) errors.push(...validatePath(at(`${path}.http.paths`, which), route));
  }
  for (const [index, { hosts = [], secretName }] of (spec.tls ?? []).entries()) {
    errors.push(...optionalName(`${at(`${field}.tls`, index)}.secretName`, secretName, dnsSubdomainErrors));
    for (const [which, host] of hosts.entries()) {
      const wrong = host.includes('*') ? wildcardSubdomainErrors(host) : dnsSubdomainErrors(host);
      errors.push(...messages(at(`${at(`${field}.tls`, index)}.hosts`, which), host, wrong));
    }
  }
  if (spec.ingressClassName !== undefined)
    errors.push(...messages(`${field}.ingressClassName`, spec.ingressClassName, dnsSubdomainErrors(spec.ingressClassName)));
  return errors;
}

/** The annotation of old and the field of today say the same thing: one is enough. */
function validateClassOnce(metadata: V1ObjectMeta, spec: V1IngressSpec): FieldError[] {
  const annotated = metadata.annotations?.[classAnnotation];
  if (annotated === undefined || spec.ingressClassName === undefined) return [];
  return [invalidValue(`metadata.annotations.${classAnnotation}`, annotated, 'can not be set when the class field is also set')];
}

function validateLoadBalancer(field: string, points: readonly V1IngressLoadBalancerIngress[]): FieldError[] {
  return points.flatMap(({ ip = '', hostname = '' }, index) => [
    ...(ip === '' ? [] : ipAddress(`${at(field, index)}.ip`, ip)),
    ...(hostname === '' ? [] : validateHost(`${at(field, index)}.hostname`, hostname)),
  ]);
}

function validateHost(field: string, host: string): FieldError[] {
  if (isIp(host)) return [invalidValue(field, host, 'must be a DNS name, not an IP address')];
  return messages(field, host, host.includes('*') ? wildcardSubdomainErrors(host) : dnsSubdomainErrors(host));
}

function validatePath(field: string, { path = '', pathType, backend }: V1HTTPIngressPath): FieldError[] {
  const errors: FieldError[] = [];
  const wrong = requiredOneOf(`${field}.pathType`, pathType, ['Exact', 'ImplementationSpecific', 'Prefix'], 'pathType must be specified');
  errors.push(...wrong);
  if (wrong.length === 0 && (pathType !== 'ImplementationSpecific' || path !== '') && !path.startsWith('/')) {
    errors.push(invalidValue(`${field}.path`, path, 'must be an absolute path'));
  }
  if (wrong.length === 0 && pathType !== 'ImplementationSpecific') {
    for (const sequence of ['//', '/./', '/../', '%2f', '%2F'])
      if (path.includes(sequence)) errors.push(invalidValue(`${field}.path`, path, `must not contain '${sequence}'`));
  }
  return [...errors, ...validateBackend(`${field}.backend`, backend ?? {})];
}

function validateBackend(field: string, { resource, service }: V1IngressBackend): FieldError[] {
  if (resource !== undefined && service !== undefined) return [invalidValue(field, '', 'cannot set both resource and service backends')];
  if (resource !== undefined) {
    return [
      ...requiredName(`${field}.resource.apiGroup`, resource.apiGroup, dnsSubdomainErrors),
      ...requiredName(`${field}.resource.kind`, resource.kind, pathSegmentErrors),
      ...requiredName(`${field}.resource.name`, resource.name, pathSegmentErrors),
    ];
  }
  if (service === undefined) return [invalidValue(field, '', 'resource or service backend is required')];
  const errors =
    service.name === '' ? [required(`${field}.service.name`)] : messages(`${field}.service.name`, service.name, dnsLabelErrors(service.name));
  const { name = '', number = 0 } = service.port ?? {};
  const path = `${field}.service.port`;
  if (name !== '' && number !== 0) errors.push(forbiddenField(path, 'cannot set both port name & port number'));
  else if (name === '' && number === 0) errors.push(required(path, 'port name or number is required'));
  else if (number !== 0) errors.push(...portNumber(`${path}.number`, number));
  else errors.push(...messages(`${path}.name`, name, portNameErrors(name)));
  return errors;
}
