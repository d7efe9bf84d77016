/** NetworkPolicy (networking.k8s.io/v1): which traffic pods may send and take. */
import { at, forbiddenField, invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { contains, tryParseCidr } from '../../machinery/ip.ts';
import { ageColumn, column, nameColumn, selectorText } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import { labelSelector, portNumber, portNumberOrName } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import type { V1IPBlock, V1NetworkPolicy, V1NetworkPolicyPeer, V1NetworkPolicyPort, V1NetworkPolicySpec } from '../types.ts';

export type NetworkPolicy = V1NetworkPolicy;

export const NetworkPolicy: Kind<V1NetworkPolicy> = defineKind<V1NetworkPolicy>({
  group: 'networking.k8s.io',
  kind: 'NetworkPolicy',
  resource: 'networkpolicies',
  model: 'V1NetworkPolicy',
  shortNames: ['netpol'],
  generation: true,
  defaults({ spec }) {
    for (const { ports } of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) for (const port of ports ?? []) port.protocol ??= 'TCP';
    if ((spec.policyTypes ?? []).length === 0) spec.policyTypes = (spec.egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  },
  validate: ({ spec }) => validateSpec('spec', spec),
  warnings: ({ spec }) => [
    ...blocks(
      'spec.ingress',
      'from',
      (spec.ingress ?? []).map(({ from }) => from),
    ),
    ...blocks(
      'spec.egress',
      'to',
      (spec.egress ?? []).map(({ to }) => to),
    ),
  ],
  columns: [nameColumn, column('Pod-Selector', 'Pods it is about.', ({ spec }) => selectorText(spec.podSelector)), ageColumn],
});

function validateSpec(field: string, spec: V1NetworkPolicySpec): FieldError[] {
  const errors = labelSelector(`${field}.podSelector`, spec.podSelector);
  for (const [index, { ports = [], from = [] }] of (spec.ingress ?? []).entries())
    errors.push(...validateRule(at(`${field}.ingress`, index), 'from', ports, from));
  for (const [index, { ports = [], to = [] }] of (spec.egress ?? []).entries())
    errors.push(...validateRule(at(`${field}.egress`, index), 'to', ports, to));
  const types = spec.policyTypes ?? [];
  if (types.length > 2) return [...errors, invalidValue(`${field}.policyTypes`, types, 'may not specify more than two policyTypes')];
  for (const [index, type] of types.entries()) {
    if (type !== 'Ingress' && type !== 'Egress') errors.push(notSupported(at(`${field}.policyTypes`, index), type, ['Ingress', 'Egress']));
  }
  return errors;
}

function validateRule(field: string, peersName: string, ports: readonly V1NetworkPolicyPort[], peers: readonly V1NetworkPolicyPeer[]): FieldError[] {
  return [
    ...ports.flatMap((port, index) => validatePort(at(`${field}.ports`, index), port)),
    ...peers.flatMap((peer, index) => validatePeer(at(`${field}.${peersName}`, index), peer)),
  ];
}

function validatePort(field: string, { port, endPort, protocol }: V1NetworkPolicyPort): FieldError[] {
  const errors: FieldError[] = [];
  if (protocol !== undefined && !['TCP', 'UDP', 'SCTP'].includes(protocol))
    errors.push(notSupported(`${field}.protocol`, protocol, ['TCP', 'UDP', 'SCTP']));
  if (port !== undefined) errors.push(...portNumberOrName(`${field}.port`, port));
  if (endPort === undefined) return errors;
  if (port === undefined) errors.push(required(`${field}.port`, 'must be specified when endPort is specified'));
  else if (typeof port === 'string') errors.push(invalidValue(`${field}.endPort`, endPort, 'may not be specified when `port` is non-numeric'));
  else if (endPort < port) errors.push(invalidValue(`${field}.endPort`, endPort, 'must be greater than or equal to `port`'));
  return [...errors, ...portNumber(`${field}.endPort`, endPort)];
}

function validatePeer(field: string, { podSelector, namespaceSelector, ipBlock }: V1NetworkPolicyPeer): FieldError[] {
  if (podSelector === undefined && namespaceSelector === undefined && ipBlock === undefined) return [required(field, 'must specify a peer')];
  const errors = [...labelSelector(`${field}.podSelector`, podSelector), ...labelSelector(`${field}.namespaceSelector`, namespaceSelector)];
  if (ipBlock === undefined) return errors;
  if (podSelector !== undefined || namespaceSelector !== undefined)
    return [...errors, forbiddenField(field, 'may not specify both ipBlock and another peer')];
  return [...errors, ...validateBlock(`${field}.ipBlock`, ipBlock)];
}

function validateBlock(field: string, { cidr, except = [] }: V1IPBlock): FieldError[] {
  const wrong = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
  if (cidr === '') return [required(`${field}.cidr`)];
  return [
    ...(tryParseCidr(cidr) === undefined ? [invalidValue(`${field}.cidr`, cidr, wrong)] : []),
    ...except.flatMap((hole, index) => {
      const path = at(`${field}.except`, index);
      const [inner, outer] = [tryParseCidr(hole), tryParseCidr(cidr)];
      if (inner === undefined) return [invalidValue(path, hole, wrong)];
      const strictlyInside = outer === undefined || (outer.prefixLength < inner.prefixLength && contains(outer, inner.address));
      return strictlyInside ? [] : [invalidValue(path, hole, 'must be a strict subset of `cidr`')];
    }),
  ];
}

/** Ranges that may not mean what they look like. */
function blocks(field: string, side: string, rules: readonly (readonly V1NetworkPolicyPeer[] | undefined)[]): string[] {
  return rules.flatMap((peers, index) =>
    (peers ?? []).flatMap(({ ipBlock }, which) => {
      const path = `${at(`${at(field, index)}.${side}`, which)}.ipBlock`;
      if (ipBlock === undefined) return [];
      const holes = (ipBlock.except ?? []).flatMap((hole, nth) => warn.addressRange(at(`${path}.except`, nth), hole));
      return [...warn.addressRange(`${path}.cidr`, ipBlock.cidr), ...holes];
    }),
  );
}
