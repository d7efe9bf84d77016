/** EndpointSlice (discovery.k8s.io/v1): some of the endpoints behind a Service, with what is known about each. */
import { at, duplicate, invalidValue, required, tooMany, type FieldError } from '../../machinery/field-error.ts';
import { tryParseIp } from '../../machinery/ip.ts';
import { dnsLabelErrors, dnsSubdomainErrors } from '../../machinery/names.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import { immutable, messages, oneOf, requiredOneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import type { V1EndpointSlice } from '../types.ts';
import { listOfFirst } from './address-text.ts';

export type EndpointSlice = V1EndpointSlice;

export const EndpointSlice: Kind<V1EndpointSlice> = defineKind<V1EndpointSlice>({
  group: 'discovery.k8s.io',
  kind: 'EndpointSlice',
  resource: 'endpointslices',
  model: 'V1EndpointSlice',
  generation: true,
  defaults(slice) {
    slice.endpoints ??= [];
    for (const port of slice.ports ?? []) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  validate: (slice, old) => [...validateSlice(slice), ...(old === undefined ? [] : immutable('addressType', slice.addressType, old.addressType))],
  columns: [
    nameColumn,
    column('AddressType', 'What the addresses are.', ({ addressType }) => addressType),
    column('Ports', 'Ports of every endpoint.', ({ ports }) =>
      listOfFirst(
        3,
        (ports ?? []).map(({ port, name }) => String(port ?? name ?? '*')),
        '<unset>',
      ),
    ),
    column('Endpoints', 'Addresses.', ({ endpoints }) =>
      listOfFirst(
        3,
        (endpoints ?? []).flatMap(({ addresses }) => addresses),
        '<unset>',
      ),
    ),
    ageColumn,
  ],
});

const maxEndpoints = 1000;
const maxPorts = 20_000;
const maxAddresses = 100;

function validateSlice({ addressType, endpoints = [], ports = [] }: V1EndpointSlice): FieldError[] {
  const errors = requiredOneOf('addressType', addressType, ['FQDN', 'IPv4', 'IPv6']);
  if (endpoints.length > maxEndpoints) errors.push(tooMany('endpoints', endpoints.length, maxEndpoints));
  for (const [index, { addresses = [] }] of endpoints.entries()) {
    const path = `${at('endpoints', index)}.addresses`;
    if (addresses.length === 0) errors.push(required(path, 'must contain at least 1 address'));
    if (addresses.length > maxAddresses) errors.push(tooMany(path, addresses.length, maxAddresses));
    for (const [which, address] of addresses.entries()) errors.push(...validateAddress(at(path, which), address, addressType));
  }
  if (ports.length > maxPorts) errors.push(tooMany('ports', ports.length, maxPorts));
  const names = new Set<string>();
  for (const [index, { name = '', protocol }] of ports.entries()) {
    const path = at('ports', index);
    if (name !== '') errors.push(...messages(`${path}.name`, name, dnsLabelErrors(name)));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    errors.push(...oneOf(`${path}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']));
  }
  return errors;
}

function validateAddress(field: string, address: string, type: string): FieldError[] {
  if (type === 'FQDN') return messages(field, address, dnsSubdomainErrors(address));
  // Another type is an error of its own.
  if (type !== 'IPv4' && type !== 'IPv6') return [];
  return tryParseIp(address)?.family === (type === 'IPv4' ? 4 : 6) ? [] : [invalidValue(field, address, `must be a valid ${type} address`)];
}
